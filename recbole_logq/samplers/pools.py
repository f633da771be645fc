"""Several pools of one size, drawn, looked up and masked at once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_logq.samplers.pool import Law


@dataclass(frozen=True)
class Pools:
    """As `Pool`, for pools of independent draws, each of which serves an equal part of the rows.

    Args:
        ids: int64 `[pools, n]`.
        origin: int64 `[pools, n]`, the row of the whole step whose positive a column is; -1 for none.
        log_q: float32 `[pools, n]`, log-probability of one draw.
        law: Function from ids (any shape) to their `log_q`.
        from_batch: Whether columns are positives of the batch, or some of them.
    """

    ids: Tensor
    origin: Tensor
    log_q: Tensor
    law: Law
    from_batch: bool = False

    def invalid(self, positives: Tensor, hits: str, groups: Tensor | None = None) -> Tensor:
        """The columns that are no negatives of a row: bool `[pools, rows, n]`; the opposite of `valid_columns`.

        Args:
            positives: int64 `[pools, rows]`, the positives by the pool that serves them.
            hits: "masked" or "kept", as in `valid_columns`.
            groups: int64 `[pools, rows]`, rows that come together, as there.
        """
        hit = None if hits == "kept" else self.ids.unsqueeze(1) == positives.unsqueeze(2)  # [pools, rows, n]
        if groups is None or not self.from_batch:
            if hit is not None:
                return hit
            row = torch.arange(positives.numel(), device=positives.device).view_as(positives)
            return self.origin.unsqueeze(1) == row.unsqueeze(2)
        flat = groups.flatten()
        group = flat[self.origin.clamp_min(0)].masked_fill_(self.origin < 0, -1)  # [pools, n]
        together = group.unsqueeze(1) == groups.unsqueeze(2)
        return together if hit is None else hit.logical_or_(together)
