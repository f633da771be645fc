"""Scores of queries and a pool, in full precision forward and backward."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.losses.precision import no_autocast


def pool_scores(query: Tensor, pool_vectors: Tensor) -> Tensor:
    """`query @ pool_vectors.mT`: `[rows, d]` and `[pool, d]` to `[rows, pool]`, or the same with batch dimensions.

    Autograd would run the backward products under whatever autocast surrounds the backward pass. First derivatives
    only.
    """
    scores: Tensor = _PoolScores.apply(query, pool_vectors)
    return scores


class _PoolScores(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, pool_vectors: Tensor) -> Tensor:
        ctx.save_for_backward(query, pool_vectors)
        return query @ pool_vectors.mT

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
        query, pool_vectors = ctx.saved_tensors
        with no_autocast(query):
            grad_query = grad @ pool_vectors if ctx.needs_input_grad[0] else None
            grad_pool = grad.mT @ query if ctx.needs_input_grad[1] else None
        return grad_query, grad_pool
