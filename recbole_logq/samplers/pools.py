"""Several pools of one size, drawn, looked up and masked at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.samplers.pool import Law


@dataclass(frozen=True)
class Pools:
    """As `Pool`, for pools of independent draws, each of which serves an equal part of the rows.

    Args:
        ids: int64 `[pools, n]`.
        origin: int64 `[pools, n]`, the row of the whole step whose positive a column is; -1 for none.
        law: Function from ids (any shape) to the log-probability of one draw, float32.
        from_batch: Whether columns are positives of the batch, or some of them.
    """

    ids: Tensor
    origin: Tensor
    law: Law
    from_batch: bool = False

    def mask(self, positives: Tensor, hits: str, groups: Tensor | None = None) -> ColumnMask:
        """The columns that are negatives of a row, as `valid_columns` has them.

        Args:
            positives: int64 `[pools * rows]`, the positives by the pool that serves them.
            hits: "masked" or "kept", as in `valid_columns`.
            groups: int64 `[pools * rows]`, rows that come together, as there.
        """
        row_id, column_id = (None, None) if hits == "kept" else (positives, self.ids)
        row_key = column_key = None
        if groups is not None and self.from_batch:
            row_key = groups
            # An origin of -1 looks up the last entry, which is no group's.
            column_key = functional.pad(groups, (0, 1), value=-1)[self.origin]  # [pools, n]
        elif hits == "kept":
            row_key, column_key = torch.arange(len(positives), device=positives.device), self.origin
        return ColumnMask(row_key, column_key, row_id, column_id, rows_a_pool=len(positives) // len(self.ids))
