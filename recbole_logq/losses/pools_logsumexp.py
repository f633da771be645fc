"""logsumexp of many pools of one size at once, each for its own rows: one batched product for all of them.

As in `pool_logsumexp`, the forward pass keeps the softmax and the backward pass is two products with it. That one walks
over blocks of rows that stay in a processor's cache; this one takes all of them, which is what an accelerator wants: as
many launches for 32 pools as for one.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.losses.precision import no_autocast
from recbole_logq.losses.score_logsumexp import MASKED_SCORE


def pools_logsumexp(
    query: Tensor, pool_vectors: Tensor, offset: Tensor | None, invalid: Tensor
) -> tuple[Tensor, Tensor]:
    """logsumexp over the valid columns of `query @ pool_vectors.mT - offset`.

    Args:
        query: `[pools, rows, d]`.
        pool_vectors: `[pools, n, d]`.
        offset: `[pools, n]`, None for zero; receives no gradient.
        invalid: bool `[pools, rows, n]`, columns that are no negatives of a row.

    Returns:
        `[pools, rows]`, about `MASKED_SCORE` for a row without valid columns; and the number of valid columns, of the
        vectors' type, `[pools, rows]`. First derivatives only.
    """
    counts = pool_vectors.shape[1] - invalid.sum(dim=2, dtype=query.dtype)
    lse: Tensor = _PoolsLogSumExp.apply(query, pool_vectors, offset, invalid)
    return lse, counts


class _PoolsLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, pool_vectors: Tensor, offset: Tensor | None, invalid: Tensor) -> Tensor:
        if offset is None:
            weights = torch.bmm(query, pool_vectors.mT)
        else:
            weights = torch.baddbmm(offset.unsqueeze(1), query, pool_vectors.mT, beta=-1)  # [pools, rows, n]
        peak = weights.masked_fill_(invalid, MASKED_SCORE).amax(dim=2)
        weights = weights.softmax(dim=2)  # one pass; the largest weight and its score say what was divided by
        ctx.save_for_backward(query, pool_vectors, weights)
        return peak - weights.amax(dim=2).log()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, pool_vectors, weights = ctx.saved_tensors
        factor = grad.unsqueeze(2)
        grad_query = grad_pool = None
        with no_autocast(query):
            if ctx.needs_input_grad[0]:
                grad_query = torch.bmm(weights, pool_vectors).mul_(factor)
            if ctx.needs_input_grad[1]:
                grad_pool = torch.bmm(weights.mT, factor * query)
        return grad_query, grad_pool, None, None
