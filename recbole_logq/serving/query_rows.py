"""Rows to compute queries of, and those of a folder's histories whose next item is a certain one; torch only."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class QueryRows(NamedTuple):
    """Rows to compute queries of.

    Attributes:
        offsets: Places where the rows' items begin and end, int64 ``[rows + 1]``.
        items: Items of all rows, int64.
        ids: Ids of users, 0 for a visitor; int64 ``[rows]``.
        context: Columns ``[rows]`` by name.
        times: Time of each item, float64; None for a model that reads none.
        request_times: Time of each row's request, float64 ``[rows]``; None for a model that does not know.
        texts: Bags of texts of visitors, int64 ``[rows, longest]`` each; none for users.
        second: Buckets of second histories, int64 ``[rows, length]`` each.
    """

    offsets: Tensor
    items: Tensor
    ids: Tensor
    context: dict[str, Tensor]
    times: Tensor | None
    request_times: Tensor | None
    texts: list[Tensor]
    second: list[Tensor]


class Occurrences:
    """Where items stand in the histories of a folder, and the rows that had them next.

    Args:
        offsets: Places where each user's history begins and ends, int64 ``[users + 1]``; the first user has id 1.
        history: Items of all users, from 1 on, integers.
        times: Time of each of them, float64; None for a model that reads no times.
    """

    def __init__(self, offsets: Tensor, history: Tensor, times: Tensor | None) -> None:
        self._offsets, self._history, self._times = offsets, history, times

    def rows(
        self, items: Tensor, size: int, seen: int | None, needs_history: bool, at_request: bool
    ) -> Iterator[tuple[Tensor, QueryRows]]:
        """Each occurrence of items as the row of the user who had it, with what they had before.

        Args:
            items: Different ids, ascending; int64 ``[items]``.
            size: Rows of a block, at most.
            seen: Items of a history that the model sees; None for a model that reads none.
            needs_history: Whether a user's first item is nobody's: there is no query before it.
            at_request: Whether a row's request has the time of the occurrence.

        Yields:
            Places in ``items`` of what the rows of a block had next, int64 ``[rows]``, and the rows.
        """
        places = torch.isin(self._history, items.to(self._history.dtype)).nonzero().flatten()
        users = torch.searchsorted(self._offsets, places, right=True) - 1
        if needs_history:
            places, users = (column[places > self._offsets[users]] for column in (places, users))
        for place, user in zip(places.split(size), users.split(size), strict=True):
            # One more than the model sees: it is from the item before that a time has passed since.
            before = place - self._offsets[user]
            length = torch.zeros_like(place) if seen is None else before.clamp_max(seen + 1)
            offsets = torch.cat([length.new_zeros(1), length.cumsum(0)])
            flat = torch.arange(int(offsets[-1])) + (place - offsets[1:]).repeat_interleave(length)
            times = None if self._times is None else self._times[flat]
            request_times = self._times[place] if at_request and self._times is not None else None
            history = self._history[flat].long()
            yield (
                torch.searchsorted(items, self._history[place].long()),
                QueryRows(offsets, history, user + 1, {}, times, request_times, [], []),
            )
