"""Rows that are the same, found so that what depends on them alone is computed once."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

_WHOLE = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}


def distinct_rows(columns: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """One of every kind of rows, and of which kind each row is.

    Values are the same that have the same bits: one NaN is as good as another of them.

    Args:
        columns: Columns of the rows, ``[rows]`` or ``[rows, width]`` each, of any type.

    Returns:
        Rows that are all different and stand for all, int64 ``[kinds]``; and the place of each row's among them, int64
        ``[rows]``.
    """
    bits = [column.contiguous().view(_WHOLE[column.element_size()]).flatten(1) for column in map(_wide, columns)]
    table = torch.cat([part.long() for part in bits], dim=1)  # [rows, width of all]
    kinds, kind = table.unique(dim=0, return_inverse=True)
    rows = torch.arange(len(table), device=table.device)
    return torch.empty(len(kinds), dtype=torch.int64, device=table.device).scatter_(0, kind, rows), kind


def _wide(column: Tensor) -> Tensor:
    return column.unsqueeze(1) if column.dim() == 1 else column
