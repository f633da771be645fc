"""What is added to the scores of attention: learned weights of the time and of the distance between two events."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.times import TimeBuckets, TokenTimes

QUERIES, PAIRS = 64, 1 << 17
"""Queries and pairs of a tile on the CPU: keys after all of its queries are left out; its scores stay in cache."""
MANY = 512
"""Tokens from which their pairs are worth a table on the CPU."""
COPIES = 128
"""Sums of gradients that an accelerator makes next to each other: thousands of pairs would wait for one place."""


class Tile(NamedTuple):
    """Some rows and queries of a bucket of sequences, and the keys up to the last query.

    Attributes:
        rows, queries: Ranges of the rows and of the queries.
        time: Buckets of the times between, and their number where the key comes later than the query; int32
            ``[rows, queries, keys]``. None where nothing reads it.
        before: Keys that stand before the first query of the bucket.
    """

    rows: slice
    queries: slice
    time: Tensor | None
    before: int = 0


class Bias(NamedTuple):
    """What is added to the scores of a bucket of sequences.

    Attributes:
        tiles: Tiles of its pairs.
        time: Weights by bucket of time, the last of them of keys that come later; ``[heads, n + 1]``, or None.
        distance: Weights of the pairs by position, ``[heads, length, length]``, or None.
    """

    tiles: list[Tile]
    time: Tensor | None
    distance: Tensor | None

    def whole(self) -> Tensor:
        """All of it, from a single tile, ``[rows or 1, heads, length, length]``."""
        (tile,) = self.tiles
        if self.time is None or tile.time is None:
            assert self.distance is not None
            return self.distance[None]
        added: Tensor = _LookUp.apply(self.time, tile.time)
        return added if self.distance is None else added + self.distance


class PairBias(nn.Module):
    """A weight for each head and bucket of the time between, and for each head and distance of positions.

    Weights of distances are those of Raffel et al., "Exploring the Limits of Transfer Learning with a Unified
    Text-to-Text Transformer", 2020, without their buckets; weights of times those of Zhai et al., "Actions Speak Louder
    than Words: Trillion-Parameter Sequential Transducers for Generative Recommendations", ICML 2024, for each head.
    They start at 0.

    Args:
        n_heads: Attention heads.
        n_buckets: Buckets of times; None for no weights of times.
        max_length: Longest sequence; None for no weights of distances.
        later: What stands where the key comes later than the query.
    """

    def __init__(self, n_heads: int, n_buckets: int | None, max_length: int | None, later: float) -> None:
        super().__init__()
        self.time = None if n_buckets is None else nn.Parameter(torch.zeros(n_heads, n_buckets))
        self.distance = None if max_length is None else nn.Parameter(torch.zeros(n_heads, max_length))
        self.later = later

    def forward(self, pairs: list[list[Tile]]) -> list[Bias]:
        """What is added in each bucket of sequences, whose tiles :func:`pairs_of` gives."""
        time = None if self.time is None else self._with_later(self.time)
        distance = None if self.distance is None else self._with_later(self.distance)
        return [Bias(tiles, time, None if distance is None else _by_distance(distance, tiles)) for tiles in pairs]

    def _with_later(self, weights: Tensor) -> Tensor:
        return torch.cat((weights, weights.new_full((len(weights), 1), self.later)), 1)  # [heads, n + 1]


def _by_distance(weights: Tensor, tiles: list[Tile]) -> Tensor:
    """Weights of distances ``[heads, n + 1]`` by query and key, ``[heads, length, length]``."""
    position = torch.arange(tiles[-1].queries.stop + tiles[-1].before, device=weights.device)
    distance = position[tiles[-1].before :, None] - position
    later = weights.shape[1] - 1
    # Beyond the longest sequence no key is seen either.
    return weights[:, distance.masked_fill(distance < 0, later).clamp_max(later)]


def pairs_of(
    packing: Packing | FixedPacking, times: TokenTimes | None, buckets: TimeBuckets | None
) -> list[list[Tile]]:
    """The pairs of each bucket of sequences, and of which buckets their times are: the same for all layers.

    Args:
        packing: Packing of the tokens.
        times: Times of the tokens; None where no weight depends on them.
        buckets: Buckets of times.
    """
    if isinstance(packing, FixedPacking):
        return [[_fixed_pairs(packing, times, buckets)]]
    if times is None or buckets is None:
        return [
            [Tile(rows, queries, None) for rows, queries in _tiles(len(padded), padded.shape[1], packing.device)]
            for padded in packing.padded(packing.position)
        ]
    pairs = []
    bucket_of = buckets.of_many() if packing.device.type == "cpu" and packing.n_tokens > MANY else buckets
    for query, event in zip(packing.padded(times.query), packing.padded(times.event), strict=True):
        tiles = []
        for rows, queries in _tiles(len(query), query.shape[1], packing.device):
            time = bucket_of(query[rows, queries, None] - event[rows, None, : queries.stop])  # [rows, queries, keys]
            position = torch.arange(time.shape[1], device=time.device)
            time[:, :, queries].masked_fill_(position > position[:, None], buckets.n)  # keys before them are no later
            tiles.append(Tile(rows, queries, time))
        pairs.append(tiles)
    return pairs


def _fixed_pairs(packing: FixedPacking, times: TokenTimes | None, buckets: TimeBuckets | None) -> Tile:
    """All pairs of a token and the keys of its chunk and the one before; what it does not see counts as later."""
    time = None
    if times is not None and buckets is not None:
        between = packing.by_chunk(times.query).unsqueeze(2) - packing.with_chunk_before(times.event).unsqueeze(1)
        time = buckets(between).masked_fill_(~packing.visible, buckets.n)  # [chunks, longest, 2 * longest]
    chunks = packing.n_tokens // packing.longest
    return Tile(slice(0, chunks), slice(0, packing.longest), time, before=packing.longest)


def _tiles(n_rows: int, length: int, device: torch.device) -> Iterator[tuple[slice, slice]]:
    """Rows and queries; an accelerator takes them in one piece."""
    if device.type != "cpu":
        yield slice(0, n_rows), slice(0, length)
        return
    for first in range(0, length, QUERIES):
        last = min(first + QUERIES, length)
        step = max(PAIRS // ((last - first) * last), 1)
        for row in range(0, n_rows, step):
            yield slice(row, min(row + step, n_rows)), slice(first, last)


class _LookUp(torch.autograd.Function):
    """``table[:, index]`` of few columns and many indices, whose gradient is a sum over millions of pairs.

    ``[heads, n]`` and int32 ``[rows, length, length]`` to ``[rows, heads, length, length]``.
    """

    @staticmethod
    def forward(ctx: Any, table: Tensor, index: Tensor) -> Tensor:
        ctx.save_for_backward(index)
        ctx.n = table.shape[1]
        return table.index_select(1, index.flatten()).unflatten(1, index.shape).transpose(0, 1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        (index,) = ctx.saved_tensors
        flat = index.flatten()
        flat = flat + ctx.n * (torch.arange(len(flat), device=flat.device, dtype=torch.int32) % COPIES)
        sums = gradient.new_zeros(gradient.shape[1], ctx.n * COPIES)
        sums.index_add_(1, flat, gradient.transpose(0, 1).flatten(1))
        return sums.unflatten(1, (COPIES, ctx.n)).sum(1), None
