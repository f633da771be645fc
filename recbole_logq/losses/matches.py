"""The pairs of rows and columns that a mask takes out, found by search where they are few.

To look at every element of [rows, pool] costs a third of what the products with the pool cost. A row of a shared pool
has a handful of columns that do not count, and sorted columns give them away.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

MOST = 1 / 16
"""Share of all pairs above which a look at every element is cheaper."""

Keys = tuple[Tensor, Tensor]
"""What rows and columns are compared by, int64 `[rows]` and `[pool]`."""


class Matches:
    """Columns that match a row.

    Args:
        row: int64 `[matches]`.
        column: int64 `[matches]`, a column of each; no pair stands twice.
        rows: Number of rows.
        columns: Number of columns.

    Attributes:
        others: Number of columns that do not match, int32 `[rows]`.
    """

    def __init__(self, row: Tensor, column: Tensor, rows: int, columns: int) -> None:
        self.others = torch.bincount(row, minlength=rows).sub_(columns).neg_().int()
        self._columns = columns
        self._places = row.mul_(columns).add_(column).sort().values  # in the flattened [rows, columns]

    def fill_(self, scores: Tensor, start: int, stop: int, value: float) -> None:
        """Put a value where columns match the rows `start` to `stop`, whose scores `[stop - start, columns]` are."""
        first = start * self._columns
        ends = torch.searchsorted(self._places, torch.tensor([first, stop * self._columns])).tolist()
        scores.view(-1).index_fill_(0, self._places[ends[0] : ends[1]] - first, value)


def find_matches(keys: Sequence[Keys]) -> Matches | None:
    """Columns that match a row by one of the keys at least.

    Args:
        keys: One or two.

    Returns:
        None where they are not for a search to find: too many of them, or on an accelerator, which would have to be
        waited for.
    """
    rows, columns = (len(side) for side in keys[0])
    if keys[0][0].device.type != "cpu" or not rows:
        return None
    matches: list[Keys] = []
    for row_key, column_key in keys:
        pairs = _equal(row_key, column_key, int(MOST * rows * columns))
        if pairs is None:
            return None
        if matches:
            row, column = pairs
            new = keys[0][0][row] != keys[0][1][column]
            pairs = row[new], column[new]
        matches.append(pairs)
    row, column = matches[0] if len(matches) == 1 else (torch.cat(sides) for sides in zip(*matches, strict=True))
    return Matches(row, column, rows, columns)


def _equal(row_key: Tensor, column_key: Tensor, most: int) -> Keys | None:
    """Rows and columns with the same key; None for too many."""
    ordered, order = column_key.sort()
    first = torch.searchsorted(ordered, row_key)  # [rows]
    number = torch.searchsorted(ordered, row_key, right=True).sub_(first)  # [rows]
    total = number.cumsum(0)
    if int(total[-1]) > most:
        return None
    row = torch.repeat_interleave(number)  # [matches]
    step = first.sub_(total).add_(number)  # [rows], from a match's number to its place in the order
    return row, order[torch.arange(len(row)).add_(step[row])]
