"""Causal self-attention over right-padded rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor


def causal_attention(heads: Tensor) -> Tensor:
    """Query, key and value ``[rows, length, 3, heads, d]`` to ``[rows, length, heads, d]``."""
    query, key, value = heads.permute(2, 0, 3, 1, 4)
    with _without_cudnn() if heads.device.type == "cuda" else nullcontext():
        # Right padding under a causal mask: no real position ever sees a padded one, so no padding mask is needed.
        return F.scaled_dot_product_attention(query, key, value, is_causal=True).transpose(1, 2)


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
