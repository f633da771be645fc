"""Which columns of a shared pool count for which row, as comparisons of what rows and columns are marked with."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from recbole_logq.losses.matches import Matches, find_matches


@dataclass(frozen=True, eq=False)
class ColumnMask:
    """A mask that a kernel works out for itself, element by element; called, it is a `MaskFunction`.

    A column is valid for a row where all of these hold that are given: their keys differ, their ids differ, the row's
    set does not hold the column.

    Several pools are one mask: tensors of columns then have a dimension of pools in front, and rows stand in groups of
    `rows_a_pool`, a group for each pool, the last one shorter.

    Args:
        row_key: int64 `[rows]`, such as the row's own number, or the number of its window.
        column_key: int64 `[pool]`, such as the row or the window that a column came from; with `row_key` alone.
        row_id: int64 `[rows]`, the row's positive.
        column_id: int64 `[pool]`, the column's item; with `row_id` alone.
        row_set: int64 `[rows]`, the set of each row.
        held: bool `[sets, pool]`, the columns that each set holds; with `row_set` alone.
        spares_own: Whether equal ids do the opposite: such a column stays though the set holds it.
        rows_a_pool: Rows of a group; None for one pool.
    """

    row_key: Tensor | None = None
    column_key: Tensor | None = None
    row_id: Tensor | None = None
    column_id: Tensor | None = None
    row_set: Tensor | None = None
    held: Tensor | None = None
    spares_own: bool = False
    rows_a_pool: int | None = None

    def __call__(self, start: int, stop: int) -> Tensor:
        """The mask of rows `start` to `stop`, bool `[stop - start, pool]`."""
        parts: list[Tensor] = []
        if self.row_key is not None and self.column_key is not None:
            parts.append(self.row_key[start:stop].unsqueeze(1) != self._of_columns(self.column_key, start, stop))
        differs = None
        if self.row_id is not None and self.column_id is not None:
            differs = self.row_id[start:stop].unsqueeze(1) != self._of_columns(self.column_id, start, stop)
            if not self.spares_own:
                parts.append(differs)
        if self.row_set is not None and self.held is not None:
            sets = self.row_set[start:stop]
            held = self.held[sets] if self.rows_a_pool is None else self.held[self._pool_of(start, stop), sets]
            parts.append(~(held & differs) if self.spares_own and differs is not None else ~held)
        valid = parts[0]
        for part in parts[1:]:
            valid = valid & part
        return valid

    def invalid_by_pool(self) -> Tensor:
        """Columns that do not count in any of several pools that all have the same number of rows.

        Returns:
            bool `[pools, rows of each, pool]`.

        Raises:
            ValueError: Rows have sets, which one comparison for all pools cannot look up.
        """
        if self.held is not None or self.rows_a_pool is None:
            raise ValueError("a mask of sets, or of one pool, has no form by pool")
        invalid: Tensor | None = None
        for of_rows, of_columns in ((self.row_id, self.column_id), (self.row_key, self.column_key)):
            if of_rows is not None and of_columns is not None:
                equal = of_rows.view(-1, self.rows_a_pool, 1) == of_columns.unsqueeze(1)
                invalid = equal if invalid is None else invalid.logical_or_(equal)
        assert invalid is not None
        return invalid

    @cached_property
    def matches(self) -> Matches | None:
        """What the mask takes out, where that is found by a search; None otherwise."""
        if self.held is not None or self.rows_a_pool is not None:
            return None
        pairs = (self.row_id, self.column_id), (self.row_key, self.column_key)
        return find_matches([(row, column) for row, column in pairs if row is not None and column is not None])

    def _of_columns(self, values: Tensor, start: int, stop: int) -> Tensor:
        return values if self.rows_a_pool is None else values[self._pool_of(start, stop)]

    def _pool_of(self, start: int, stop: int) -> Tensor:
        tensor = next(t for t in (self.column_key, self.column_id, self.held) if t is not None)
        return torch.arange(start, stop, device=tensor.device) // (self.rows_a_pool or 1)
