"""Causal self-attention over right-padded rows."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def causal_attention(heads: Tensor) -> Tensor:
    """Query, key and value ``[rows, length, 3, heads, d]`` to ``[rows, length, heads, d]``."""
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    # Right padding under a causal mask: no real position ever sees a padded one, so no padding mask is needed.
    return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)
