"""Causal self-attention over right-padded rows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

# Without cuDNN's, which torch prefers in 16 bits on Hopper and which plans anew for each shape: the shapes of a bucket
# are never twice the same.
BACKENDS = [SDPBackend.FLASH_ATTENTION, SDPBackend.EFFICIENT_ATTENTION, SDPBackend.MATH]


def causal_attention(heads: Tensor) -> Tensor:
    """Query, key and value ``[rows, length, 3, heads, d]`` to ``[rows, length, heads, d]``."""
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    # Right padding under a causal mask: no real position ever sees a padded one, so no padding mask is needed.
    if heads.device.type != "cuda":
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
    with sdpa_kernel(BACKENDS):
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
