"""Vectors of one length, in half the passes over memory that autograd takes; torch only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

SHORTEST = 1e-12
"""Length below which a vector is divided by this number instead, as in `torch.nn.functional.normalize`."""


def unit_vectors(vectors: Tensor, length: float = 1.0) -> Tensor:
    """Vectors `[..., d]` in their own direction, each of the given length. First derivatives only.

    A vector that is shorter than `SHORTEST` comes out shorter than the others, zero as zero.
    """
    unit: Tensor = _UnitVectors.apply(vectors, length)
    return unit


class _UnitVectors(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, vectors: Tensor, length: float) -> Tensor:
        norm = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)  # [..., 1]
        divisor = norm.clamp_min(SHORTEST)  # [..., 1]
        if length != 1.0:  # one small kernel less on an accelerator
            divisor.div_(length)
        unit = vectors / divisor  # [..., d]
        ctx.length = length
        ctx.save_for_backward(unit, divisor, norm)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        unit, divisor, norm = ctx.saved_tensors
        # What points along the vector changes its length alone, except where the length is not divided by.
        along = (unit * grad).sum(-1, keepdim=True).mul_(norm >= SHORTEST)  # [..., 1]
        return torch.addcmul(grad, unit, along, value=-1 / ctx.length**2).div_(divisor), None
