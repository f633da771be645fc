"""Causal self-attention over a row of tokens of fixed length, in shapes that do not depend on the batch."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.pair_bias import Bias


def fixed_attention(
    packing: FixedPacking, heads: Tensor, bias: Bias | None = None, longest: int | None = None
) -> Tensor:
    """Query, key and value ``[tokens, 3, heads, d]`` to ``[tokens, heads, d]``.

    Each chunk of queries is multiplied with its own keys and those of the chunk before, and what a query does not see
    is masked. Where a kernel for sequences of any length is at hand and nothing is added to the scores, that one is
    called.

    Args:
        packing: Packing of the tokens.
        heads: Query, key and value, of that shape.
        bias: What is added to the scores; None for nothing.
        longest: None for the softmax of ``score / sqrt(d) + bias``; the longest sequence for ``silu(score + bias) /
            longest``.
    """
    if bias is None and longest is None and heads.device.type != "cpu":
        return _of_any_length(packing, heads)
    query = packing.by_chunk(heads[:, 0]).transpose(1, 2)  # [chunks, heads, longest, d]
    key, value = packing.with_chunk_before(heads[:, 1:]).permute(2, 0, 3, 1, 4)  # [chunks, heads, 2 * longest, d]
    visible = packing.visible.unsqueeze(1)  # [chunks, 1, longest, 2 * longest]
    added = None if bias is None else bias.whole().to(query.dtype)
    if longest is None:
        mask = visible if added is None else added.masked_fill(~visible, -math.inf)
        attended = F.scaled_dot_product_attention(query, key, value, attn_mask=mask)
    else:
        scores = query @ key.transpose(-2, -1)
        scores = scores if added is None else scores + added
        # Taken out after silu, which makes no 0 of -inf.
        attended = (F.silu(scores) * visible / longest) @ value
    return attended.transpose(1, 2).flatten(0, 1)


def _of_any_length(packing: FixedPacking, heads: Tensor) -> Tensor:
    query, key, value = heads.permute(1, 0, 2, 3).unsqueeze(1)  # [1, tokens, heads, d]
    bounds = packing.bounds_32
    # The kernel behind torch's nested tensors, in any precision; 1 is a causal mask from the first token of each.
    attended, *_ = torch.ops.aten._efficient_attention_forward(
        query, key, value, None, bounds, bounds, packing.longest, packing.longest, 0.0, 1, torch.is_grad_enabled()
    )
    return attended.squeeze(0)
