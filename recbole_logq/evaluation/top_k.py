"""The exact best items of many rows while blocks of scores stream by; torch only.

A product of vectors makes a score in about a nanosecond, and sorting costs several times that. So a score is looked at
once, as part of the maximum of its group of columns: only groups whose maximum beats the row's worst item so far are
opened. Nothing of size rows x items exists.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

GROUP = 16
"""Columns under one maximum."""
TILE_ROWS = 256
TILE_COLUMNS = 2048
"""256 x 2048 scores are 2 MB: they stay in the cache between the product and the selection."""
CROWDED = 0.25
"""Above this share of open groups, sorting the whole tile is cheaper than opening them."""

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


@torch.no_grad()
def top_k(query: Tensor, items: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
    """What ``torch.topk`` finds in ``query @ items.T`` without the padding item and the excluded pairs.

    Where scores are equal, or a row has fewer than k items to rank, the order is that of ``torch.topk`` over the whole
    row, which is what RecBole takes.

    Args:
        query: ``[rows, d]``.
        items: ``[n_items, d]``; row 0 is padding.
        k: At most ``n_items``.
        excluded: Pairs that are not ranked.

    Returns:
        Scores and items of the ranking.
    """
    pairs = _by_item(excluded)
    tile = query.new_empty(TILE_ROWS * (TILE_COLUMNS + GROUP))  # one for all: fresh memory is slow to touch
    parts = []
    for first in range(0, len(query), TILE_ROWS):
        part = query[first : first + TILE_ROWS]
        here = _of_rows(pairs, first, first + len(part))
        best = _Best(len(part), k, query)
        for low, high in _tiles(len(items)):
            scores = tile[: len(part) * (high - low)].view(len(part), -1)
            torch.mm(part, items[low:high].T, out=scores)
            _exclude(scores, here, low)
            best.add(scores, low)
        found = best.result()
        for row in best.undecided():
            scores = part[row] @ items.T
            scores[0] = -torch.inf
            if here is not None:
                scores[here[1][here[0] == row]] = -torch.inf
            _take(found, row, scores)
        parts.append(found)
    return TopK(*(torch.cat(column) for column in zip(*parts, strict=True)))


@torch.no_grad()
def top_k_of_scores(scores: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
    """The same from scores that are there already.

    Args:
        scores: ``[rows, n_items]``, column 0 is padding; what is not ranked becomes -inf in them.
        k: At most ``n_items``.
        excluded: Pairs that are not ranked.

    Returns:
        Scores and items of the ranking.
    """
    scores[:, 0] = -torch.inf
    if excluded is not None:
        scores[excluded] = -torch.inf
    best = _Best(len(scores), k, scores)
    for low, high in _tiles(scores.shape[1]):
        best.add(scores[:, low:high], low)
    found = best.result()
    for row in best.undecided():
        _take(found, row, scores[row])
    return found


class _Best:
    """The best k + 1 of each row so far, and candidates that may be among them.

    The one beyond k tells whether the k-th place is decided.
    """

    def __init__(self, rows: int, k: int, like: Tensor) -> None:
        self.kept = k + 1
        self.width = 3 * self.kept + 32
        self.scores = like.new_full((rows, self.width), -torch.inf)
        self.items = torch.zeros(rows, self.width, dtype=torch.int64, device=like.device)
        self.filled = torch.full((rows,), self.kept, device=like.device)
        self.worst = self.scores[:, self.kept - 1].clone()

    def add(self, scores: Tensor, first: int) -> None:
        """Look at columns ``first`` and on, ``[rows, width]``; a width that GROUP does not divide is sorted."""
        rows, width = scores.shape
        if width % GROUP:
            return self._sort(scores, first)
        groups = scores.unflatten(1, (GROUP, -1))  # of columns far apart: the maximum runs along memory
        open_groups = (groups.amax(1) <= self.worst.unsqueeze(1)).logical_not_()  # a NaN passes, as in torch.topk
        row, group = open_groups.nonzero(as_tuple=True)
        if len(row) > CROWDED * open_groups.numel():
            return self._sort(scores, first)
        opened = groups[row, :, group]
        which, member = (opened <= self.worst[row].unsqueeze(1)).logical_not_().nonzero(as_tuple=True)
        row = row[which]
        counts = torch.bincount(row, minlength=rows)
        if int((self.filled + counts).max()) > self.width:
            self._settle()
            if int(counts.max()) > self.width - self.kept:
                return self._sort(scores, first)
        before = counts.cumsum(0) - counts
        place = torch.arange(len(row), device=row.device) + (self.filled - before)[row]
        self.scores[row, place] = opened[which, member]
        self.items[row, place] = first + member * groups.shape[2] + group[which]
        self.filled += counts

    def _sort(self, scores: Tensor, first: int) -> None:
        best, column = scores.topk(min(self.kept, scores.shape[1]), dim=1)
        self._settle(best, column + first)

    def _settle(self, *more: Tensor) -> None:
        """Sort the candidates in."""
        used = int(self.filled.max())
        scores, items = self.scores[:, :used], self.items[:, :used]
        if more:
            scores, items = torch.cat([scores, more[0]], 1), torch.cat([items, more[1]], 1)
        best, place = scores.topk(self.kept, dim=1)
        self.items[:, : self.kept] = items.gather(1, place)
        self.scores[:, : self.kept] = best
        self.scores[:, self.kept :] = -torch.inf
        self.filled.fill_(self.kept)
        self.worst = best[:, -1].clone()

    def result(self) -> TopK:
        """The best k of each row."""
        self._settle()
        return TopK(self.scores[:, : self.kept - 1].clone(), self.items[:, : self.kept - 1].clone())

    def undecided(self) -> list[int]:
        """Rows with equal scores among the best k + 1, -inf of too few items included."""
        best = self.scores[:, : self.kept]
        return (~(best[:, :-1] > best[:, 1:]).all(1)).nonzero().flatten().tolist()


def _tiles(n_items: int) -> list[tuple[int, int]]:
    """Ranges of columns from 1 on; the first is what leaves widths that GROUP divides."""
    start = min(TILE_COLUMNS // 2 + (n_items - 1) % GROUP, n_items - 1) + 1
    ends = [*range(start, n_items, TILE_COLUMNS), n_items]
    return list(zip([1, *ends], ends, strict=False))


def _take(found: TopK, row: int, scores: Tensor) -> None:
    best, column = scores.topk(found.items.shape[1])
    found.scores[row], found.items[row] = best, column


def _by_item(pairs: Pairs | None) -> Pairs | None:
    if pairs is None:
        return None
    order = pairs[1].argsort()
    return pairs[0][order], pairs[1][order]


def _of_rows(pairs: Pairs | None, first: int, last: int) -> Pairs | None:
    if pairs is None:
        return None
    here = (pairs[0] >= first) & (pairs[0] < last)
    return pairs[0][here] - first, pairs[1][here]


def _exclude(scores: Tensor, pairs: Pairs | None, first: int) -> None:
    """Set pairs (sorted by item) that fall into columns ``first`` and on to -inf."""
    if pairs is not None:
        low, high = torch.searchsorted(pairs[1], torch.tensor([first, first + scores.shape[1]], device=scores.device))
        scores[pairs[0][low:high], pairs[1][low:high] - first] = -torch.inf
