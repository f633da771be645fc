"""Encoding a batch part by part, so that the activations of one part exist at a time; torch only."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint


def in_parts(encode: Callable[..., Tensor], parts: Sequence[tuple[Any, ...]]) -> Tensor:
    """``cat([encode(*part) for part in parts])`` with the memory of one part, forward and backward.

    Only the vectors are kept. The backward pass, which knows the gradient of each vector by then, encodes every part
    again with the same random numbers and goes through it: gradient caching (Gao et al., "Scaling Deep Contrastive
    Learning Batch Size under Memory Limited Setup", 2021). So a pool may span a batch whose activations would not fit,
    with the gradient of the batch in one piece; summing the gradients of small batches, each with its own small pool,
    has another one.

    Args:
        encode: Function from the tensors of a part to vectors ``[rows, ...]``.
        parts: Arguments of ``encode``, one entry a part; at least one.
    """
    if not torch.is_grad_enabled():
        return torch.cat([encode(*part) for part in parts])
    return torch.cat([checkpoint(encode, *part, use_reentrant=False) for part in parts])
