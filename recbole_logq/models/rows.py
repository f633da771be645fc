"""What a step trains on."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass
class Rows:
    """The rows of a batch, encoded.

    Args:
        query: ``[rows, d]``, as the encoder gives it.
        positives: Target items, int64 ``[rows]``.
        n_units: Independent units (interactions or windows) that the batch is made of.
        users: int64 ``[rows]``.
        weights: Floating ``[rows]``, or None for rows that count alike.
        place: Numbers that rows are ordered by where they are not in the order of the batch, int64 ``[rows]``:
            `Packing.place`.
        windows: int64 ``[rows]``, numbers from 0 up of the windows that the rows come from, below `n_units`; None where
            every row is a unit by itself.
        window_sizes: int64 ``[windows]`` on the host, how many rows each window has, where all of its targets are rows.
        rows_of_window: int64 ``[windows]`` on the host, beside it, how many rows each has where a target is one of
            several; None where every target is a row once.
        first_items: int64 ``[windows]``, beside it, the item before the first target of each.
        further_own: Owners and items, both int64 ``[n]``: items of a window that are no row's positive; where every row
            is a unit by itself, of the row with that index. None where there are none, or they are not asked for.
        real: bool ``[rows]``, rows that are no padding; None where all of them are.
        shown: int64 ``[rows]``, the list of what each row's impression held; None where impressions are not read.
        segment: The segment that the whole batch comes from, int64 scalar; None for a random batch.
    """

    query: Tensor
    positives: Tensor
    n_units: int
    users: Tensor
    weights: Tensor | None = None
    place: Tensor | None = None
    shown: Tensor | None = None
    segment: int | Tensor | None = None
    windows: Tensor | None = None
    window_sizes: Tensor | None = None
    rows_of_window: Tensor | None = None
    first_items: Tensor | None = None
    further_own: tuple[Tensor, Tensor] | None = None
    real: Tensor | None = None

    def part(self, start: int, stop: int) -> Rows:
        """The rows from ``start`` to before ``stop``; further own items are those of all."""

        def cut(column: Tensor | None) -> Tensor | None:
            return None if column is None else column[start:stop]

        query, positives, users = (column[start:stop] for column in (self.query, self.positives, self.users))
        further = {name: cut(getattr(self, name)) for name in ("weights", "place", "windows", "shown")}
        return replace(self, query=query, positives=positives, users=users, **further)  # type: ignore[arg-type]


def own_inputs(history: Tensor) -> tuple[Tensor, Tensor]:
    """The items that rows were made from as what `Rows.further_own` holds: int64 ``[rows, length]``, 0 for none."""
    row = torch.arange(len(history), device=history.device).unsqueeze(1).expand_as(history)
    return row[history > 0], history[history > 0]
