"""The exact best items of many rows without a matrix of rows x items; torch and numpy only.

Where there are few items, the scores of a block of rows fit into the cache, and `torch.topk` finds the best. To sort
many of them costs several times what making them costs. So a score is looked at once, as part of the maximum of its
group; the groups with the best maxima hold the best items, and only theirs are sorted. Where there are still more items
they stream by, and the best groups are scored again.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from recbole_logq.evaluation.groups import Groups
from recbole_logq.evaluation.products import FloatProduct, WholeProduct, whole_is_fast

GROUP = 16
"""Items under one maximum."""
TILE_ROWS = 256
TILE_COLUMNS = 2048
"""256 x 2048 scores are 2 MB: they stay in the cache between the product and the maxima."""
GATHERED = 1 << 20
"""Numbers of vectors that are gathered at once, 4 MB."""
STREAMED_FROM = 70_000
"""Items from which it pays to let them stream by,"""
STREAMED_FROM_K = 1000
"""and for each of the k best: what is scored again grows with k."""
STREAMED_FROM_ROWS = 64
"""Rows, of all searches so far, from which it has paid to make ready for it."""
NARROW = 8192
"""Scores of a row below which `torch.topk` is faster by itself than after a look at maxima."""
PARTITIONED_FROM = 64
"""Items to find from which numpy's partition is faster than ``torch.topk``,"""
PARTITIONED_SHARE = 1 / 64
"""and the share of all items above which it is, too."""
SCORES = 1 << 18
"""Scores that are made at once, 1 MB, which is still in the cache when the best are looked for; for more items those of
as many rows as keep a product busy."""
BUSY_ROWS = 128
MOST_SCORES = 1 << 26
"""Scores above which a block has fewer rows than that, 256 MB,"""
LEAST_ROWS = 16
"""but no fewer than these, whose scores are still smaller than the vectors."""
PROBED = 32
"""Rows that tell whether streaming is any good for a catalogue, before all rows are tried."""

_NUMPYS = (torch.float32, torch.float64)
Pairs = tuple[Tensor, Tensor]
"""Rows and item ids, int64 ``[pairs]`` both."""


class TopK(NamedTuple):
    """The best items of each row, best first.

    Attributes:
        scores: ``[rows, k]``; -inf where a row has fewer than k items to rank.
        items: int64 ``[rows, k]``.
    """

    scores: Tensor
    items: Tensor


class Catalogue:
    """Items to search, as many times as wanted.

    Args:
        items: ``[n_items, d]``; row 0 is padding.
        whole: Whether to look at scores in whole numbers first, while the items stream by. Default: whatever is fastest
            for that many items. What is found is the same.
    """

    @torch.no_grad()
    def __init__(self, items: Tensor, whole: bool | None = None) -> None:
        # Halves have too few digits for bounds, and for places.
        self.items = items = items.float() if items.dtype.itemsize < 4 else items
        self._whole = whole
        self._products: list[FloatProduct] | None = None
        self._probed: set[FloatProduct] = set()
        self._rows, self._tied = 0, False

    def _streams(self, rows: int, k: int) -> bool:
        """Whether the items stream by; if so, all is made for it."""
        self._rows += rows
        if self._whole is None:
            if len(self.items) < max(STREAMED_FROM, STREAMED_FROM_K * k):
                return False
            if self._products is None and self._rows < STREAMED_FROM_ROWS:
                return False
        if self._products is None:
            self._groups = Groups(len(self.items), TILE_COLUMNS, GROUP)
            self._products = [FloatProduct(self.items)]
            if self._whole if self._whole is not None else whole_is_fast(self.items):
                self._products.insert(0, WholeProduct(self.items, self._groups))
        return bool(self._products)

    @torch.no_grad()
    def top_k(self, query: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
        """What ``torch.topk`` finds in ``query @ items.T`` without the padding item and the excluded pairs.

        Where scores are equal, or a row has fewer than k items to rank, the order is that of ``torch.topk`` over the
        scores of the row. (Scores that differ by rounding alone, as those of a collapsed model, may come in another
        order in a block of other rows, whose product may round differently: here as in RecBole.)

        Args:
            query: ``[rows, d]``.
            k: Number of items to find, at most ``n_items``.
            excluded: Pairs that are not ranked.

        Returns:
            Scores and items of the ranking.
        """
        query = query.to(self.items.dtype)
        if not self._streams(len(query), k):
            return self._of_whole_rows(query, k, excluded)
        ranked = TopK(
            query.new_empty(len(query), k), torch.empty(len(query), k, dtype=torch.int64, device=query.device)
        )
        rows = torch.arange(len(query), device=query.device)
        for product in list(self._products or ()):
            if not len(rows) or k >= self._groups.n_groups * self._groups.size:
                break  # nothing is left, or everything is wanted
            rows = self._stream(product, query, k, excluded, rows, ranked)
        if len(rows):
            exact = self._of_whole_rows(query[rows], k, _of_rows(excluded, rows, len(query)))
            ranked.scores[rows], ranked.items[rows] = exact
        return ranked

    def _stream(
        self, product: FloatProduct, query: Tensor, k: int, excluded: Pairs | None, rows: Tensor, ranked: TopK
    ) -> Tensor:
        """Search for some rows, and give those for which nothing is proven, in order."""
        blocks = list(rows.split(TILE_ROWS))
        if product not in self._probed:
            self._probed.add(product)
            blocks = [block for block in (rows[:PROBED], *rows[PROBED:].split(TILE_ROWS)) if len(block)]
        remaining, tried, failed = [], 0, 0
        for place, block in enumerate(blocks):
            best, proven = self._search(product, query[block], k, _of_rows(excluded, block, len(query)))
            ranked.scores[block[proven]], ranked.items[block[proven]] = best.scores[proven], best.items[proven]
            remaining.append(block[~proven])
            tried, failed = tried + len(block), failed + len(remaining[-1])
            if failed > tried / 2:
                assert self._products is not None
                self._products.remove(product)  # too coarse for these items, or too many scores are equal
                remaining += blocks[place + 1 :]
                break
        return torch.cat(remaining)

    def _of_whole_rows(self, query: Tensor, k: int, excluded: Pairs | None) -> TopK:
        """The best k out of the scores of whole rows, a block at a time."""
        n_rows, n_items = len(query), len(self.items)
        if n_rows * n_items <= SCORES:
            return self._best_of(query @ self.items.T, k, excluded)
        size = max(SCORES // n_items, min(BUSY_ROWS, MOST_SCORES // n_items), LEAST_ROWS)
        memory = query.new_empty(min(size, n_rows), n_items)  # one for all: fresh memory is slow
        ranked = TopK(query.new_empty(n_rows, k), torch.empty(n_rows, k, dtype=torch.int64, device=query.device))
        starts = range(0, n_rows, size)
        if excluded is not None:
            row, order = excluded[0].sort()
            item = excluded[1][order]
            ends = torch.searchsorted(row, torch.tensor([*starts, n_rows], device=row.device)).tolist()
        for block, start in enumerate(starts):
            scores = torch.mm(query[start : start + size], self.items.T, out=memory[: n_rows - start])
            pairs = None
            if excluded is not None:
                of_block = slice(ends[block], ends[block + 1])
                pairs = row[of_block] - start, item[of_block]
            self._best_of(scores, k, pairs, TopK(*(part[start : start + size] for part in ranked)))
        return ranked

    def _best_of(self, scores: Tensor, k: int, pairs: Pairs | None, out: TopK | None = None) -> TopK:
        """The best k of whole rows, without padding and some pairs; written to their place where that is known."""
        scores[:, 0] = -torch.inf
        if pairs is not None:
            scores[pairs] = -torch.inf
        best, n_tied = _best(scores, k, out, directly=self._tied)
        self._tied = self._tied or n_tied > len(scores) / 2
        return best

    def _search(self, product: FloatProduct, query: Tensor, k: int, pairs: Pairs | None) -> tuple[TopK, Tensor]:
        """The best k, and for which rows it is proven that they are."""
        groups = self._groups
        maxima = self._maxima(product, query, pairs)
        product.to_bounds(query, maxima)
        opened = select(maxima, min(product.n_opened(k), groups.n_groups))
        items = groups.members(opened.items)
        scores = self._scores(query, items).masked_fill_(items == 0, -torch.inf)
        if pairs is not None:
            group, place = groups.place(pairs[1])
            place_of_group = maxima.fill_(-1).scatter_(1, opened.items, _places(opened.items).to(maxima.dtype))
            column = place_of_group[pairs[0], group].long()
            is_open = column >= 0
            scores[pairs[0][is_open], column[is_open] * groups.size + place[is_open]] = -torch.inf
        best = select(scores, k + 1)
        proven = (best.scores[:, :-1] > best.scores[:, 1:]).all(1)
        if opened.items.shape[1] < groups.n_groups:
            proven &= best.scores[:, k - 1] > opened.scores[:, -1]
        return TopK(best.scores[:, :k], items.gather(1, best.items[:, :k])), proven

    def _maxima(self, product: FloatProduct, query: Tensor, pairs: Pairs | None) -> Tensor:
        """Best score of every group, ``[rows, groups]``."""
        groups, rows = self._groups, len(query)
        maxima = query.new_empty(rows, groups.n_groups)
        memory = query.new_empty(rows * groups.columns, dtype=product.dtype)  # one for all: fresh memory is slow
        prepared = product.prepare(query)
        if pairs is not None:
            order = pairs[1].argsort()
            row, item = pairs[0][order], pairs[1][order]
            starts = torch.arange(1, groups.n_items + groups.columns, groups.columns, device=item.device)
            ends = torch.searchsorted(item, starts).tolist()
        for tile, (low, high, n_groups) in enumerate(groups.tiles()):
            scores = memory[: rows * n_groups * groups.size].view(rows, -1)
            if scores.shape[1] > high - low:
                scores.fill_(product.lowest)
            product.write(prepared, low, high, scores[:, : high - low])
            if pairs is not None:
                of_tile = slice(ends[tile], ends[tile + 1])
                scores[row[of_tile], item[of_tile] - low] = product.lowest
            first = tile * groups.per_tile
            maxima[:, first : first + n_groups] = scores.unflatten(1, (groups.size, n_groups)).amax(1)
        return maxima

    def _scores(self, query: Tensor, items: Tensor) -> Tensor:
        """Exact scores of items ``[rows, width]``."""
        rows = max(GATHERED // (items.shape[1] * query.shape[1]), 1)
        parts = []
        for part, ids in zip(query.split(rows), items.split(rows), strict=True):
            vectors = self.items.index_select(0, ids.flatten()).view(*ids.shape, -1)
            parts.append(torch.bmm(part.unsqueeze(1), vectors.mT).squeeze(1))
        return torch.cat(parts)


@torch.no_grad()
def top_k_of_scores(scores: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
    """The same from scores that are there already.

    Args:
        scores: ``[rows, n_items]``, column 0 is padding; what is not ranked becomes -inf in them.
        k: Number of items to find, at most ``n_items``.
        excluded: Pairs that are not ranked.

    Returns:
        Scores and items of the ranking.
    """
    scores[:, 0] = -torch.inf
    if excluded is not None:
        scores[excluded] = -torch.inf
    return _best(scores, k)[0]


def _best(scores: Tensor, k: int, out: TopK | None = None, directly: bool = False) -> tuple[TopK, int]:
    """What ``scores.topk(k)`` of ``[rows, width]`` is, in its order too.

    Args:
        scores: Scores of all items.
        k: Number of items to find.
        out: Place for what is best. Default: a new one.
        directly: Whether equal scores are everywhere, and not worth looking for another way.

    Returns:
        What is best, and the number of rows where equal scores were in the way.
    """
    narrow = scores.shape[1] < NARROW or scores.shape[1] // GROUP <= 2 * (k + 1)
    if directly or (narrow and not _can_partition(scores, k + 1)):
        return TopK(*torch.topk(scores, k, dim=1, out=out)), 0
    more = select(scores, k + 1)
    best = TopK(more.scores[:, :k], more.items[:, :k])
    if out is not None:
        best = TopK(*(place.copy_(part) for place, part in zip(out, best, strict=True)))
    tied = (~(more.scores[:, :-1] > more.scores[:, 1:]).all(1)).nonzero().flatten()
    if len(tied):
        best.scores[tied], best.items[tied] = scores[tied].topk(k, dim=1)
    return best, len(tied)


def select(scores: Tensor, k: int) -> TopK:
    """``scores.topk(k)`` of ``[rows, width]``, in any order where scores are equal."""
    rows, width = scores.shape
    step = width // GROUP
    if width < NARROW or step <= 2 * k:
        return _largest(scores, k)
    grouped = scores[:, : step * GROUP].unflatten(1, (GROUP, step))
    # The k best are in the k groups with the best maxima, or in the columns that no group has.
    groups = select(grouped.amax(1), k).items
    columns = (groups.unsqueeze(2) + step * torch.arange(GROUP, device=scores.device)).flatten(1)
    tail = torch.arange(step * GROUP, width, device=scores.device).expand(rows, -1)
    columns = torch.cat([columns, tail], dim=1)
    best, place = _largest(scores.gather(1, columns), k)
    return TopK(best, columns.gather(1, place))


def _can_partition(scores: Tensor, k: int) -> bool:
    is_large = k >= PARTITIONED_FROM or k > PARTITIONED_SHARE * scores.shape[1]
    return is_large and k < scores.shape[1] and scores.device.type == "cpu" and scores.dtype in _NUMPYS


def _largest(scores: Tensor, k: int) -> TopK:
    """``scores.topk(k)``, in any order where scores are equal: numpy partitions and sorts with vector instructions."""
    if not _can_partition(scores, k):
        return TopK(*scores.topk(k, dim=1))
    array, (rows, width) = scores.numpy(), scores.shape
    above = array >= np.partition(array, width - k, axis=1)[:, width - k, None]  # [rows, width]
    row, item = np.divmod(np.flatnonzero(above), width)
    row_numbers = np.arange(rows)
    unclear = np.empty(0, dtype=np.int64)
    if len(row) != rows * k or (row.reshape(rows, k) != row_numbers[:, None]).any():
        unclear = row_numbers[np.count_nonzero(above, axis=1) != k]  # several have the k-th score, or one is no number
        above[unclear] = np.arange(width) < k  # something to be replaced
        item = np.flatnonzero(above) % width
    items = torch.from_numpy(item.reshape(rows, k))
    largest = scores.gather(1, items)
    order = torch.from_numpy(np.argsort(-largest.numpy(), axis=1))
    best = TopK(largest.gather(1, order), items.gather(1, order))
    if len(unclear):
        tied = torch.from_numpy(unclear)
        best.scores[tied], best.items[tied] = scores[tied].topk(k, dim=1)
    return best


def _places(columns: Tensor) -> Tensor:
    return torch.arange(columns.shape[1], device=columns.device).expand_as(columns)


def _of_rows(pairs: Pairs | None, rows: Tensor, total: int) -> Pairs | None:
    """Pairs of some rows, which are counted anew."""
    if pairs is None:
        return None
    place = torch.full((total,), -1, device=rows.device)
    place[rows] = torch.arange(len(rows), device=rows.device)
    row = place[pairs[0]]
    return row[row >= 0], pairs[1][row >= 0]
