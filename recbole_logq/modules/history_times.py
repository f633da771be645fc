"""When the items of a history were had, for a tower that pools them; torch only."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.times import TimeBuckets


class SeenTimes(NamedTuple):
    """What a tower sees of the times of some histories; None for what it does not read.

    Attributes:
        gaps: Buckets of the gaps before the items, int64 ``[rows, length]``.
        ago: What attention adds to the scores of the items, ``[rows, length]``.
        since: Vectors of the time from the last item to the request, ``[rows, size]``.
    """

    gaps: Tensor | None
    ago: Tensor | None
    since: Tensor | None


class HistoryTimes(nn.Module):
    """What is learned of times: vectors of the gap before each item, and weights of how long ago each was had.

    The vectors are those of :class:`~recbole_logq.modules.times.GapVectors`, pooled with the items that they are added
    to; the weights, which start at 0, are added to the scores of attention pooling.

    Args:
        n: Buckets of times.
        size: Size of the vectors.
        gaps: Whether there are vectors of gaps.
        recency: Whether there are weights of how long ago.
        knows_request: Whether the time of a request is known. Where it is not, the last item's time stands for now.

    Attributes:
        before: Vectors of the gap before an item; the last is that of a user's first.
        request: Vectors of the time from the last item to the request; the last is that of an empty history.
    """

    def __init__(self, n: int, size: int, gaps: bool, recency: bool, knows_request: bool) -> None:
        super().__init__()
        self.knows_request = knows_request
        self.buckets = TimeBuckets(n)
        self.before = _vectors(n + 1, size) if gaps else None
        self.request = _vectors(n + 1, size) if gaps and knows_request else None
        self.recency = nn.Parameter(torch.zeros(n)) if recency else None

    def forward(self, times: Tensor, n_items: Tensor, request_time: Tensor | None) -> SeenTimes:
        """What is seen of some histories.

        Args:
            times: Times as :class:`~recbole_logq.modules.query.Request` has them, float64 ``[rows, length + 1]``.
            n_items: Items of each history, int64 ``[rows]``.
            request_time: Time of each request, float64 ``[rows]``, where it is known.
        """
        event, last = times[:, 1:], times.gather(1, n_items[:, None]).squeeze(1)
        gaps, ago, since = None, None, None
        if self.before is not None:
            gap = event - times[:, :-1]
            gaps = self.buckets(gap).masked_fill(gap.isnan(), self.buckets.n).long()
        if self.recency is not None:
            now = request_time if self.knows_request else last
            assert now is not None
            ago = self.recency[self.buckets(now[:, None] - event).long()]
        if self.request is not None:
            assert request_time is not None
            since = self.request(self.buckets(request_time - last).masked_fill(n_items == 0, self.buckets.n).long())
        return SeenTimes(gaps, ago, since)

    def scores_of_gaps(self, gaps: Tensor, query: Tensor) -> Tensor:
        """Products of a query ``[size]`` with the vectors of gaps, ``[rows, length]``."""
        assert self.before is not None
        return (self.before.weight @ query)[gaps]

    def pooled_gaps(self, gaps: Tensor, weight: Tensor) -> Tensor:
        """Sums of the vectors of gaps under weights ``[rows, length]``, ``[rows, size]``."""
        assert self.before is not None
        return F.embedding_bag(gaps, self.before.weight, mode="sum", per_sample_weights=weight)


def _vectors(n: int, size: int) -> nn.Embedding:
    table = nn.Embedding(n, size)
    nn.init.normal_(table.weight, std=size**-0.5)
    return table
