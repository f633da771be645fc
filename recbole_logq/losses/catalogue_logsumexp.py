"""logsumexp of dot products with a whole catalogue, in memory that does not grow with rows x catalogue.

The forward pass keeps one number per row; the backward pass computes each tile of logits again. That is one more
matrix product than keeping them, and the only way that fits: 6,400 rows by a million items are 26 GB.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from recbole_logq.losses.precision import no_autocast
from recbole_logq.losses.score_logsumexp import MASKED_SCORE
from recbole_logq.losses.terms import Terms

CPU_TILE = (256, 1024)
"""Rows and columns of a tile on the CPU: 1 MB of float32, so that the passes after the product stay in the cache."""

ACCELERATOR_TILE_ELEMENTS = 2**25
"""Elements of a tile elsewhere: 128 MB of float32, so that the kernels are long against the cost of a launch."""


def catalogue_logsumexp(query: Tensor, vectors: Tensor, terms: Terms, name: str, block_rows: int) -> Tensor:
    """Exact logsumexp over the valid columns of `query @ vectors.T`, tile by tile.

    Args:
        query: `[rows, d]`.
        vectors: `[catalogue, d]`.
        terms: Only the mask is read. A mask function is asked again in the backward pass.
        name: Of the loss, for messages.
        block_rows: Upper bound for the rows of a tile.

    Returns:
        `[rows]`, about `MASKED_SCORE` for a row without valid columns. First derivatives only.
    """
    lse: Tensor = _CatalogueLogSumExp.apply(query, vectors, terms, name, _tile_size(query, block_rows))
    return lse


def _tile_size(query: Tensor, block_rows: int) -> tuple[int, int]:
    if query.device.type == "cpu":
        return min(block_rows, CPU_TILE[0]), CPU_TILE[1]
    return block_rows, max(ACCELERATOR_TILE_ELEMENTS // block_rows, 1)


class _CatalogueLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, vectors: Tensor, terms: Terms, name: str, tile: tuple[int, int]) -> Tensor:
        lse = query.new_full((len(query),), MASKED_SCORE)
        for rows, _, logits in _tiles(query, vectors, terms, name, tile):
            lse[rows] = torch.logaddexp(lse[rows], torch.logsumexp(logits, dim=1))
        ctx.save_for_backward(query, vectors, lse)
        ctx.tiling = terms, name, tile
        return lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, vectors, lse = ctx.saved_tensors
        grad_query = torch.zeros_like(query) if ctx.needs_input_grad[0] else None
        grad_vectors = torch.zeros_like(vectors) if ctx.needs_input_grad[1] else None
        scaled_query = grad.unsqueeze(1) * query
        with no_autocast(query):
            for rows, columns, logits in _tiles(query, vectors, *ctx.tiling):
                softmax = logits.sub_(lse[rows].unsqueeze(1)).exp_()
                if grad_query is not None:
                    grad_query[rows].addmm_(softmax, vectors[columns])
                if grad_vectors is not None:
                    grad_vectors[columns].addmm_(softmax.T, scaled_query[rows])
        if grad_query is not None:
            grad_query.mul_(grad.unsqueeze(1))
        return grad_query, grad_vectors, None, None, None


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
