"""logsumexp of dot products with a whole catalogue, in memory that does not grow with rows x catalogue.

A block of rows is scored against all columns at a time, and its part of both gradients is computed while its softmax is
still at hand: three matrix products a step, where scoring again in the backward pass takes four and a second round of
exponentials. That works because the gradient of a mean is the same number in every row; where it is not (rows with
weights) the catalogue's part is computed again, tile by tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.losses import limits
from recbole_logq.losses.fused_logsumexp import Kernel, fused_logsumexp, kernel_serves
from recbole_logq.losses.precision import no_autocast
from recbole_logq.losses.score_logsumexp import MASKED_SCORE
from recbole_logq.losses.terms import Terms

CPU_TILE = (256, 1024)
"""Rows and columns of a tile on the CPU: 1 MB of float32, so that the passes after the product stay in the cache."""

BLOCK_ELEMENTS = 2**24
"""Elements of a block of rows by all columns on the CPU, at most: 64 MB of float32. A catalogue so large that this
leaves only a few rows is worked on in tiles instead, forward and again backward. Elsewhere a block is a tile."""
MIN_BLOCK_ROWS = 32


def catalogue_logsumexp(
    query: Tensor, vectors: Tensor, terms: Terms, name: str, block_rows: int, kernel: Kernel = "auto"
) -> Tensor:
    """Exact logsumexp over the valid columns of `query @ vectors.T`, block by block.

    Args:
        query: `[rows, d]`.
        vectors: `[catalogue, d]`.
        terms: Terms of the pool, of which only the mask is read. A mask function may be asked again in the backward
            pass.
        name: Name of the loss, for messages.
        block_rows: Upper bound for the rows that are worked on at a time.
        kernel: What computes it, as `Kernel`.

    Returns:
        `[rows]`, about `MASKED_SCORE` for a row without valid columns. First derivatives only.

    Raises:
        ValueError: The kernel was asked for and cannot serve these tensors.
    """
    if len(vectors) and kernel_serves(kernel, query, terms, name):
        return fused_logsumexp(query, vectors, None, terms.valid)[0]
    lse: Tensor = _CatalogueLogSumExp.apply(query, vectors, terms, name, block_rows)
    return lse


def _tile_size(query: Tensor, columns: int, block_rows: int) -> tuple[tuple[int, int], int]:
    """Rows and columns of a tile, and rows of a block."""
    columns = max(columns, 1)
    if query.device.type == "cpu":
        rows = min(block_rows, CPU_TILE[0])
        return (rows, CPU_TILE[1]), min(BLOCK_ELEMENTS // columns, rows)
    rows = max(limits.tile_rows(query.device, columns), MIN_BLOCK_ROWS)
    return (rows, limits.ACCELERATOR_TILE // rows), limits.tile_rows(query.device, columns)


class _CatalogueLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, vectors: Tensor, terms: Terms, name: str, block_rows: int) -> Tensor:
        tile, rows_of_block = _tile_size(query, len(vectors), block_rows)
        ctx.tiling = terms, name, tile
        block = rows_of_block, tile[1]
        if len(vectors) and any(ctx.needs_input_grad) and block[0] >= min(MIN_BLOCK_ROWS, block_rows):
            lse, expected, mass = _with_gradients(query, vectors, terms, name, block, ctx.needs_input_grad)
        else:
            expected = mass = None
            lse = query.new_full((len(query),), MASKED_SCORE)
            for rows, _, logits in _tiles(query, vectors, terms, name, tile):
                lse[rows] = torch.logaddexp(lse[rows], torch.logsumexp(logits, dim=1))
        ctx.save_for_backward(query, vectors, lse, expected, mass)
        return lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, vectors, lse, expected, mass = ctx.saved_tensors
        needs_query, needs_vectors = ctx.needs_input_grad[:2]
        grad_query = expected if needs_query else None
        grad_vectors = None
        if needs_vectors and mass is not None and len(grad) and _same_in_all_rows(grad):
            grad_vectors, needs_vectors = mass * grad[0], False
        if needs_vectors or (needs_query and grad_query is None):
            again_query = torch.zeros_like(query) if needs_query and grad_query is None else None
            again_vectors = torch.zeros_like(vectors) if needs_vectors else None
            scaled_query = grad.unsqueeze(1) * query
            with no_autocast(query):
                for rows, columns, logits in _tiles(query, vectors, *ctx.tiling):
                    softmax = logits.sub_(lse[rows].unsqueeze(1)).exp_()
                    if again_query is not None:
                        again_query[rows].addmm_(softmax, vectors[columns])
                    if again_vectors is not None:
                        again_vectors[columns].addmm_(softmax.T, scaled_query[rows])
            grad_query = grad_query if again_query is None else again_query
            grad_vectors = grad_vectors if again_vectors is None else again_vectors
        return None if grad_query is None else grad_query * grad.unsqueeze(1), grad_vectors, None, None, None


def _same_in_all_rows(grad: Tensor) -> bool:
    # The gradient of a plain mean is one number in memory. Only where it costs no waiting is it also looked at.
    return grad.stride(0) == 0 or (grad.device.type == "cpu" and bool((grad == grad[0]).all()))


def _with_gradients(
    query: Tensor, vectors: Tensor, terms: Terms, name: str, tile: tuple[int, int], needs_grad: tuple[bool, ...]
) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """logsumexp, and what an upstream gradient of 1 makes of it: `softmax @ vectors` and `softmax.T @ query`."""
    lse = query.new_empty(len(query), 1)
    expected = torch.zeros_like(query) if needs_grad[0] else None
    mass = torch.zeros_like(vectors) if needs_grad[1] else None
    columns = [slice(left, min(left + tile[1], len(vectors))) for left in range(0, len(vectors), tile[1])]
    for top in range(0, len(query), tile[0]):
        rows = slice(top, min(top + tile[0], len(query)))
        block, mask = query[rows], terms.mask(name, rows.start, rows.stop, len(vectors))
        peak = query.new_full((len(block), 1), MASKED_SCORE)
        total = torch.zeros_like(peak)
        kept = []
        for part in columns:
            # Every pass over a tile while it is in the cache; sums so far are brought to each new peak.
            logits = block @ vectors[part].T
            if mask is not None:
                logits.masked_fill_(~mask[:, part], MASKED_SCORE)
            before, peak = peak, torch.maximum(peak, logits.amax(dim=1, keepdim=True))
            shrink = (before - peak).exp_()
            total.mul_(shrink).add_(logits.sub_(peak).exp_().sum(dim=1, keepdim=True))
            if expected is not None:
                expected[rows].mul_(shrink).addmm_(logits, vectors[part])
            kept.append((part, logits, peak))
        if expected is not None:
            expected[rows].div_(total)
        lse[rows] = row_lse = peak + total.log()
        if mass is not None:
            for part, weights, peak in kept:
                mass[part].addmm_(weights.T, block * (peak - row_lse).exp_())
    return lse.squeeze(1), expected, mass


def _tiles(
    query: Tensor, vectors: Tensor, terms: Terms, name: str, tile: tuple[int, int]
) -> Iterator[tuple[slice, slice, Tensor]]:
    """Yields row range, column range and masked logits of every tile; the logits may be written to."""
    for top in range(0, len(query), tile[0]):
        rows = slice(top, min(top + tile[0], len(query)))
        mask = terms.mask(name, rows.start, rows.stop, len(vectors))
        for left in range(0, len(vectors), tile[1]):
            columns = slice(left, min(left + tile[1], len(vectors)))
            logits = query[rows] @ vectors[columns].T
            if mask is not None:
                logits.masked_fill_(~mask[:, columns], MASKED_SCORE)
            yield rows, columns, logits
