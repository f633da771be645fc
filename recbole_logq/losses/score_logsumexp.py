"""logsumexp over the valid columns of a score matrix."""

from __future__ import annotations

import torch
from torch import Tensor

MASKED_SCORE = -1e30
"""Stands in for the score of a masked column. exp() of it is exactly 0 beside any real score, yet it is finite: the
logsumexp of a row that has nothing else is about -1e30, whose softplus is 0 with gradient 0, where -inf gives NaN."""


def score_logsumexp(scores: Tensor, offset: Tensor | None, mask: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """logsumexp of `scores - offset` per row.

    Args:
        scores: `[rows, pool]`.
        offset: `[pool]` or `[rows, pool]`, None for zero.
        mask: bool `[rows, pool]`, True for valid columns; None for all.

    Returns:
        `[rows]`, about `MASKED_SCORE` for a row without valid columns; and the number of valid columns, int32
        `[rows]`, or None without a mask.
    """
    if scores.shape[1] == 0:
        return scores.sum(dim=1) + MASKED_SCORE, None
    if offset is not None:
        scores = scores - offset
    if mask is None:
        return torch.logsumexp(scores, dim=1), None
    scores = scores.masked_fill(~mask, MASKED_SCORE)
    return torch.logsumexp(scores, dim=1), count_valid(mask)


def count_valid(mask: Tensor) -> Tensor:
    """Valid columns per row, int32 `[rows]` (torch sums bool in int64 by default: three times the work)."""
    return mask.sum(dim=1, dtype=torch.int32)
