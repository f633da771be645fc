"""Causal self-attention over right-padded rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor

from recbole_logq.modules.fixed_attention import fixed_attention
from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.pair_bias import Bias
from recbole_logq.modules.tiled_attention import tiled_attention


def attend(
    packing: Packing | FixedPacking, heads: Tensor, bias: Sequence[Bias] | None = None, longest: int | None = None
) -> Tensor:
    """Attention of packed sequences, each for itself: ``[tokens, 3, heads, d]`` to ``[tokens, heads, d]``.

    Args:
        packing: Packing of the tokens.
        heads: Query, key and value.
        bias: What is added to the scores in each bucket of sequences; None for nothing.
        longest: None for a softmax; the longest sequence for :func:`silu_attention`.
    """
    if isinstance(packing, FixedPacking):
        return fixed_attention(packing, heads, None if bias is None else bias[0], longest)
    function = causal_attention if longest is None else partial(silu_attention, longest=longest)
    return packing.by_bucket(function, heads, *(() if bias is None else (bias,)))


def causal_attention(heads: Tensor, bias: Bias | None = None) -> Tensor:
    """Query, key and value ``[rows, length, 3, heads, d]`` to ``[rows, length, heads, d]``.

    Args:
        heads: Query, key and value, of that shape.
        bias: What is added to the scores, -inf where the key comes later than the query; None for nothing but that.
    """
    if bias is not None and heads.device.type == "cpu":
        return tiled_attention(heads, bias)
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    with _without_cudnn() if heads.device.type == "cuda" else nullcontext():
        # Right padding under a causal mask: no real position ever sees a padded one, so no padding mask is needed.
        if bias is None:
            return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
        return F.scaled_dot_product_attention(query, key, value, attn_mask=bias.whole().to(query.dtype)).transpose(1, 2)


def silu_attention(heads: Tensor, bias: Bias | None = None, *, longest: int) -> Tensor:
    """The same with ``silu(score) / longest`` in place of the softmax: shares need not sum to 1.

    Args:
        heads: Query, key and value, ``[rows, length, 3, heads, d]``.
        bias: What is added to the scores, finite everywhere; None for nothing.
        longest: Longest sequence.
    """
    if bias is not None and heads.device.type == "cpu":
        return tiled_attention(heads, bias, longest)
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    scores = query @ key.transpose(-2, -1)  # [rows, heads, length, length]
    if bias is not None:
        scores = scores + bias.whole().to(scores.dtype)
    # Taken out after silu, which makes no 0 of -inf.
    return (F.silu(scores).tril() / longest @ value).transpose(1, 2)


@contextmanager
def _without_cudnn() -> Iterator[None]:
    # torch prefers cuDNN's attention in 16 bits on Hopper. It plans anew for each shape (PyTorch's pull request
    # 155958), and a batch of packed sequences hardly has the shapes of another.
    before = torch.backends.cuda.cudnn_sdp_enabled()
    torch.backends.cuda.enable_cudnn_sdp(False)
    try:
        yield
    finally:
        torch.backends.cuda.enable_cudnn_sdp(before)
