"""Times of events and of queries, in buckets whose widths grow with the time between; torch only."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

CELLS = 0x7F80
"""Leading 16 bits that floats have from 0 to below infinity."""
LEAST = torch.finfo(torch.float32).tiny
QUANTILE = 0.001
"""Share of the gaps above 0 that are shorter than the second bucket: what a clock's rare hiccups may move."""
_DOUBLINGS = 64  # from the largest time, 2^53, to what float32 still holds


class TokenTimes(NamedTuple):
    """What is known of time at each token of a packing; float64 ``[tokens]``, in the unit of the data.

    Attributes:
        before: Time of the event before the token's own, also where that lies outside of the window; NaN for a user's
            first.
        event: Time of the token's event.
        query: Time that the query of the token takes for now: the event's own where the time of a request is unknown,
            and that of the next event, or of the request, where it is known.
    """

    before: Tensor
    event: Tensor
    query: Tensor

    def part(self, tokens: slice) -> TokenTimes:
        """Times of some of the tokens."""
        return TokenTimes(*(column[tokens] for column in self))


class TimeBuckets(nn.Module):
    """Which of ``n`` buckets a time between two events falls into.

    Bucket 0 holds what is below the first edge: nothing between two events, and what would be negative. Bucket k holds
    times from edge ``k - 1`` to below edge ``k``, the last one everything above.

    Args:
        n: Buckets, 3 or more.

    Attributes:
        edges: Ascending, in the unit of the data; float64 ``[n - 1]``. They are stored with the weights.
    """

    edges: Tensor

    def __init__(self, n: int) -> None:
        super().__init__()
        self.n = n
        self.register_buffer("edges", 2.0 ** torch.arange(n - 1, dtype=torch.float64))

    def forward(self, between: Tensor) -> Tensor:
        """Buckets, int32, of times between; float64, any shape. They are compared with the edges in float32."""
        return torch.bucketize(between.float(), self.edges.float(), out_int32=True, right=True)

    def of_many(self) -> Callable[[Tensor], Tensor]:
        """What finds the same buckets on the CPU in half the time, worth its making for some 10,000 times.

        A float's leading 16 bits are looked up, which leaves one edge to compare with; where edges are closer to each
        other than that, it is :meth:`forward`.
        """
        edges = self.edges.float()
        cells = (torch.arange(CELLS, dtype=torch.int32) << 16).view(torch.float32)  # the least number of each cell
        least = torch.bucketize(cells, edges, out_int32=True, right=True)
        if bool((least.diff() > 1).any()):
            return self
        following = torch.cat((edges, edges.new_full((1,), torch.inf)))

        def find(between: Tensor) -> Tensor:
            times = between.float().clamp_min_(LEAST).flatten()  # below the first edge, as all that is negative
            bucket = least.index_select(0, times.view(torch.int32) >> 16)
            bucket += times >= following.index_select(0, bucket)
            return bucket.view(between.shape)

        return find


def logarithmic_edges(gaps: Tensor, longest: float, n: int) -> Tensor:
    """Edges of ``n`` buckets, equally far apart on a logarithmic scale, float64 ``[n - 1]``.

    They go from the shortest gaps of the data to its longest span, so that a unit of seconds and one of milliseconds
    have the same buckets.

    Args:
        gaps: Times between events that follow each other in training; float64, any number of them.
        longest: Longest time between two events of one user.
        n: Buckets, 3 or more.
    """
    positive = gaps[gaps > 0].sort().values
    shortest = float(positive[int(QUANTILE * len(positive))]) if len(positive) else 1.0
    if not longest > shortest:  # one gap for all, or none: a scale that doubles
        longest = shortest * 2.0 ** min(n - 2, _DOUBLINGS)
    step = math.log(longest / shortest) / (n - 2)
    return shortest * torch.exp(step * torch.arange(n - 1, dtype=torch.float64))


class GapVectors(nn.Module):
    """Vectors of the gap before each event, and of the gap between it and its query where that is known.

    Args:
        n: Buckets.
        size: Size of the vectors.
        knows_request: Whether the time of a request is known.
    """

    def __init__(self, n: int, size: int, knows_request: bool) -> None:
        super().__init__()
        self.before = nn.Embedding(n + 1, size)  # one for a user's first event
        self.request = nn.Embedding(n, size) if knows_request else None

    def forward(self, times: TokenTimes, buckets: TimeBuckets) -> Tensor:
        """What is added to the tokens, ``[tokens, size]``."""
        gap = times.event - times.before
        vectors = self.before(buckets(gap).masked_fill(gap.isnan(), buckets.n))
        return vectors if self.request is None else vectors + self.request(buckets(times.query - times.event))
