"""What a step trains on."""

from __future__ import annotations

from dataclasses import dataclass, replace

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
        place: Where rows do not stand in the order of the batch, the numbers they are ordered by, int64 ``[rows]``:
            `Packing.place`.
        segment: The segment that the whole batch comes from; None for a random batch.
    """

    query: Tensor
    positives: Tensor
    n_units: int
    users: Tensor
    weights: Tensor | None = None
    place: Tensor | None = None
    segment: int | None = None

    def part(self, start: int, stop: int) -> Rows:
        """The rows from ``start`` to before ``stop``."""
        weights = None if self.weights is None else self.weights[start:stop]
        place = None if self.place is None else self.place[start:stop]
        query, positives, users = (column[start:stop] for column in (self.query, self.positives, self.users))
        return replace(self, query=query, positives=positives, users=users, weights=weights, place=place)
