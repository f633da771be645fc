"""The exact best items of many rows without a matrix of rows x items; torch only.

Sorting a score costs several times what making it costs. So a score is looked at once, as part of the maximum of its
group; the groups with the best maxima hold the best items, and only theirs are scored again and sorted.
"""

from __future__ import annotations

from typing import NamedTuple

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
WHOLE_FROM = 20_000
"""Items from which a first look at scores in whole numbers pays."""

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
        whole: Whether to look at scores in whole numbers first; by default where that is faster. What is found is the
            same.
    """

    @torch.no_grad()
    def __init__(self, items: Tensor, whole: bool | None = None) -> None:
        # Halves have too few digits for bounds, and for places.
        self.items = items = items.float() if items.dtype.itemsize < 4 else items
        self._groups = Groups(len(items), TILE_COLUMNS, GROUP)
        self._products = [FloatProduct(items)]
        if whole if whole is not None else len(items) >= WHOLE_FROM and whole_is_fast(items):
            self._products.insert(0, WholeProduct(items, self._groups))

    @torch.no_grad()
    def top_k(self, query: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
        """What ``torch.topk`` finds in ``query @ items.T`` without the padding item and the excluded pairs.

        Where scores are equal, or a row has fewer than k items to rank, the order is that of ``torch.topk`` over the
        scores of the row by itself. (RecBole takes it over the rows of a block, whose products may round differently:
        scores that differ by rounding alone, as those of a collapsed model, can come in another order there.)

        Args:
            query: ``[rows, d]``.
            k: Number of items to find, at most ``n_items``.
            excluded: Pairs that are not ranked.

        Returns:
            Scores and items of the ranking.
        """
        query = query.to(self.items.dtype)
        found = TopK(query.new_empty(len(query), k), torch.empty(len(query), k, dtype=torch.int64, device=query.device))
        rows = torch.arange(len(query), device=query.device)
        for product in list(self._products):
            if not len(rows) or k >= self._groups.n_groups * self._groups.size:
                break  # nothing is left, or everything is wanted
            rest = []
            for block in rows.split(TILE_ROWS):
                best, proven = self._search(product, query[block], k, _of_rows(excluded, block, len(query)))
                found.scores[block[proven]], found.items[block[proven]] = best.scores[proven], best.items[proven]
                rest.append(block[~proven])
            tried, rows = len(rows), torch.cat(rest)
            if len(rows) > tried / 2 and isinstance(product, WholeProduct):
                self._products.remove(product)  # too coarse for these items
        for row in rows.tolist():
            scores = query[row] @ self.items.T
            scores[0] = -torch.inf
            if excluded is not None:
                scores[excluded[1][excluded[0] == row]] = -torch.inf
            found.scores[row], found.items[row] = scores.topk(k)
        return found

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
            where = maxima.fill_(-1).scatter_(1, opened.items, _places(opened.items).to(maxima.dtype))
            column = where[pairs[0], group].long()
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
                here = slice(ends[tile], ends[tile + 1])
                scores[row[here], item[here] - low] = product.lowest
            first = tile * groups.per_tile
            maxima[:, first : first + n_groups] = scores.unflatten(1, (groups.size, n_groups)).amax(1)
        return maxima

    def _scores(self, query: Tensor, items: Tensor) -> Tensor:
        """Exact scores of items ``[rows, width]``."""
        rows = max(GATHERED // (items.shape[1] * query.shape[1]), 1)
        parts = []
        for part, some in zip(query.split(rows), items.split(rows), strict=True):
            vectors = self.items.index_select(0, some.flatten()).view(*some.shape, -1)
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
    best = select(scores, min(k + 1, scores.shape[1]))
    result = TopK(best.scores[:, :k], best.items[:, :k])
    decided = (best.scores[:, :-1] > best.scores[:, 1:]).all(1)
    for row in (~decided).nonzero().flatten().tolist():
        result.scores[row], result.items[row] = scores[row].topk(k)
    return result


def select(scores: Tensor, k: int) -> TopK:
    """``scores.topk(k)`` of ``[rows, width]``, in any order where scores are equal."""
    rows, width = scores.shape
    step = width // GROUP
    if step <= 2 * k:
        return TopK(*scores.topk(k, dim=1))
    grouped = scores[:, : step * GROUP].unflatten(1, (GROUP, step))
    # The k best are in the k groups with the best maxima, or in the columns that no group has.
    groups = select(grouped.amax(1), k).items
    columns = (groups.unsqueeze(2) + step * torch.arange(GROUP, device=scores.device)).flatten(1)
    rest = torch.arange(step * GROUP, width, device=scores.device).expand(rows, -1)
    columns = torch.cat([columns, rest], dim=1)
    best, place = scores.gather(1, columns).topk(k, dim=1)
    return TopK(best, columns.gather(1, place))


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
