"""logsumexp of dot products with a pool of moderate size, at the cost of three matrix products.

Autograd on `logsumexp(q @ p.T - log_q)` walks over the [rows, pool] matrix about ten times; with 64-dimensional
vectors that takes longer than the products. Here the forward pass keeps the unnormalised softmax, and the backward
pass is two products with it: the normalisation and the incoming gradient are per row, so they go onto the
[rows, d] side.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.losses import limits
from recbole_logq.losses.catalogue_logsumexp import catalogue_logsumexp
from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.fused_logsumexp import Kernel, fused_logsumexp, kernel_serves
from recbole_logq.losses.precision import no_autocast
from recbole_logq.losses.score_logsumexp import MASKED_SCORE, count_valid
from recbole_logq.losses.terms import Terms


def pool_logsumexp(
    query: Tensor,
    pool_vectors: Tensor,
    offset: Tensor | None,
    terms: Terms,
    name: str,
    block_rows: int,
    kernel: Kernel = "auto",
) -> tuple[Tensor, Tensor | None]:
    """logsumexp over the valid columns of `query @ pool_vectors.T - offset`.

    Args:
        query: `[rows, d]`.
        pool_vectors: `[pool, d]`.
        offset: `[pool]` or `[rows, pool]`, None for zero.
        terms: Terms of the pool, of which only the mask is read.
        name: Name of the loss, for messages.
        block_rows: Rows that are worked on at a time, so that a block stays in the cache.
        kernel: What computes it, as `Kernel`.

    Returns:
        As `score_logsumexp`. First derivatives only.

    Raises:
        ValueError: The kernel was asked for and cannot serve these tensors.
    """
    rows, pool = len(query), len(pool_vectors)
    if pool == 0:
        return query.new_full((rows,), MASKED_SCORE), None
    if kernel_serves(kernel, query, terms, name):
        lse, counts = fused_logsumexp(query, pool_vectors, offset, terms.valid)
        return lse, None if terms.valid is None else counts
    if rows * pool > limits.WHOLE_MATRIX and (offset is None or offset.dim() == 1):
        return _blockwise(query, pool_vectors, offset, terms, name, block_rows)
    lse, counts = _PoolLogSumExp.apply(query, pool_vectors, offset, terms, name, block_rows)
    return lse, None if terms.valid is None else counts


def _blockwise(
    query: Tensor, pool_vectors: Tensor, offset: Tensor | None, terms: Terms, name: str, block_rows: int
) -> tuple[Tensor, Tensor | None]:
    """The same with nothing of the size of rows x pool, at the cost of a fourth product."""
    rows, pool = len(query), len(pool_vectors)
    if offset is not None:
        # A column's constant as one more dimension, which is 1 in every query.
        query = torch.cat([query, query.new_ones(rows, 1)], dim=1)
        pool_vectors = torch.cat([pool_vectors, -offset.unsqueeze(1)], dim=1)
    lse = catalogue_logsumexp(query, pool_vectors, terms, name, block_rows)
    if terms.valid is None:
        return lse, None
    counts = []
    for start in range(0, rows, block_rows):
        mask = terms.mask(name, start, min(start + block_rows, rows), pool)
        assert mask is not None
        counts.append(count_valid(mask))
    return lse, torch.cat(counts)


class _PoolLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        query: Tensor,
        pool_vectors: Tensor,
        offset: Tensor | None,
        terms: Terms,
        name: str,
        block_rows: int,
    ) -> tuple[Tensor, Tensor]:
        rows, pool = len(query), len(pool_vectors)
        weights = query.new_empty(rows, pool)
        peaks = query.new_empty(rows, 1)
        counts = torch.empty(rows, dtype=torch.int32, device=query.device)
        sums = query.new_empty(rows, 1)
        bias = None if offset is None else -offset
        matches = terms.valid.matches if isinstance(terms.valid, ColumnMask) else None
        if matches is not None:
            counts = matches.others
        for start in range(0, rows, block_rows):
            stop = min(start + block_rows, rows)
            block = weights[start:stop]
            if bias is None:
                torch.mm(query[start:stop], pool_vectors.T, out=block)
            else:
                # A bias of the product costs no pass of its own.
                block_bias = bias if bias.dim() == 1 else bias[start:stop]
                torch.addmm(block_bias, query[start:stop], pool_vectors.T, out=block)
            if matches is not None:
                matches.fill_(block, start, stop, MASKED_SCORE)
            elif (mask := terms.mask(name, start, stop, pool)) is not None:
                counts[start:stop] = count_valid(mask)
                block.masked_fill_(~mask, MASKED_SCORE)
            peak = torch.amax(block, dim=1, keepdim=True, out=peaks[start:stop])
            torch.sum(block.sub_(peak).exp_(), dim=1, keepdim=True, out=sums[start:stop])
        ctx.save_for_backward(query, pool_vectors, weights, sums)
        ctx.mark_non_differentiable(counts)
        ctx.offset_dim = 0 if offset is None else offset.dim()
        return (peaks + sums.log()).squeeze(1), counts

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor, _: Tensor) -> tuple[Tensor | None, ...]:
        query, pool_vectors, weights, sums = ctx.saved_tensors
        factor = grad.unsqueeze(1) / sums
        grad_query = grad_pool = grad_offset = None
        with no_autocast(query):
            if ctx.needs_input_grad[0]:
                grad_query = (weights @ pool_vectors).mul_(factor)
            if ctx.needs_input_grad[1]:
                grad_pool = weights.T @ (factor * query)
            if ctx.needs_input_grad[2]:
                grad_offset = -(weights.T @ factor).squeeze(1) if ctx.offset_dim == 1 else -weights * factor
        return grad_query, grad_pool, grad_offset, None, None, None
