"""logsumexp of rows over the items of their own sets, as block-diagonal products: the exact part of a denominator.

As in `pool_logsumexp`, the forward pass keeps the unnormalised softmax and the backward pass is two products with it.
Vectors are looked up by `embedding` and `index_select`, which copy whole rows; indexing takes 2 to 5 times as long.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn.functional import embedding

from recbole_logq.losses import limits
from recbole_logq.losses.precision import no_autocast, working_dtype
from recbole_logq.losses.score_logsumexp import MASKED_SCORE
from recbole_logq.losses.set_layout import SetBlock, SetLayout


def own_logsumexp(query: Tensor, vectors: Tensor, layout: SetLayout) -> Tensor:
    """logsumexp of each row's scores with the items of its set, its own item left out.

    Args:
        query: `[rows, d]`, already divided by the temperature.
        vectors: `[columns, d]`, of `layout.items`.
        layout: Rows and the columns that they are scored against.

    Returns:
        `[rows]`, float32 or float64; about `MASKED_SCORE` for a row that has nothing but its own item. First
        derivatives only.
    """
    dtype = working_dtype(query, vectors)
    with no_autocast(query):
        lse: Tensor = _OwnLogSumExp.apply(query.to(dtype), vectors.to(dtype), layout)
    return lse


class _OwnLogSumExp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, query: Tensor, vectors: Tensor, layout: SetLayout) -> Tensor:
        # Beyond a size they are computed again in the backward pass, block by block.
        keeps = any(ctx.needs_input_grad) and layout.scores <= limits.WHOLE_MATRIX
        values, kept = [], []
        for block in layout.blocks:
            weights = _scores(query, vectors, block)  # [sets, width, height]
            peak = weights.amax(dim=2, keepdim=True)
            weights.sub_(peak).exp_()
            total = weights.sum(dim=2, keepdim=True)
            values.append((peak + total.log()).flatten())
            if keeps:
                kept += [weights, total]
        lse = torch.cat([*values, query.new_full((1,), MASKED_SCORE)])[layout.row_at]
        ctx.layout = layout
        ctx.save_for_backward(query, vectors, lse, *kept)
        return lse

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        query, vectors, lse, *kept = ctx.saved_tensors
        layout: SetLayout = ctx.layout
        of_rows, of_columns = [], []
        with no_autocast(query):
            for i, block in enumerate(layout.blocks):
                factor = (grad[block.rows] * block.real_rows).unsqueeze(2)  # [sets, width, 1]
                if kept:
                    weights, total = kept[2 * i : 2 * i + 2]
                    factor = factor / total
                else:
                    ends = lse[block.rows].masked_fill(~block.real_rows, torch.inf)  # of padding nothing is left
                    weights = _scores(query, vectors, block).sub_(ends.unsqueeze(2)).exp_()
                if ctx.needs_input_grad[0]:
                    of_rows.append((weights @ embedding(block.columns, vectors)).mul_(factor).flatten(0, 1))
                if ctx.needs_input_grad[1]:
                    of_columns.append((weights.mT @ (factor * embedding(block.rows, query))).flatten(0, 1))
        grad_query = grad_vectors = None
        if ctx.needs_input_grad[0]:
            grad_query = torch.cat([*of_rows, torch.zeros_like(query[:1])]).index_select(0, layout.row_at)
        if ctx.needs_input_grad[1]:
            grad_vectors = torch.cat([*of_columns, torch.zeros_like(vectors[:1])]).index_select(0, layout.column_at)
        return grad_query, grad_vectors, None


def _scores(query: Tensor, vectors: Tensor, block: SetBlock) -> Tensor:
    """Masked scores of a block, `[sets, width, height]`; they may be written to."""
    # Padding of columns as a bias of the product, and the row's own item as one element a row: no mask of this size.
    bias = torch.zeros_like(block.real_columns, dtype=query.dtype).masked_fill_(~block.real_columns, MASKED_SCORE)
    rows, columns = embedding(block.rows, query), embedding(block.columns, vectors)
    scores = torch.baddbmm(bias.unsqueeze(1), rows, columns.mT)
    return scores.scatter_(2, block.own.unsqueeze(2), MASKED_SCORE)
