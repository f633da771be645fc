"""Two ways to score a block of items, each with a bound on its error; torch only.

Scores in whole numbers take a quarter of the time of exact ones. They find a few more items than are wanted; the exact
scores of these and the bound prove that no other item belongs to them.
"""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.evaluation.groups import Groups

LARGEST = 127
SMALLEST = 1e-15
"""Vectors whose largest number is below it are not looked at in whole numbers."""
MAX_SIZE = 1024
"""Up to this number of dimensions a score is a whole number that float32 holds exactly."""


class FloatProduct:
    """Scores in the precision of the vectors.

    Args:
        items: ``[n_items, d]``.

    Attributes:
        dtype: Type of the scores that :meth:`write` writes.
        lowest: The score there of what is not ranked.
    """

    dtype: torch.dtype
    lowest: float

    def __init__(self, items: Tensor) -> None:
        self.items, self.dtype, self.lowest = items, items.dtype, -torch.inf
        # Two sums of the same d products in other orders differ by less.
        self._error = items.norm(dim=1).max() * items.shape[1] * 2 * torch.finfo(items.dtype).eps

    def n_opened(self, k: int) -> int:
        """How many groups to open for k items."""
        return k + 2

    def prepare(self, query: Tensor) -> Tensor:
        """What :meth:`write` takes for queries ``[rows, d]``."""
        return query

    def write(self, prepared: Tensor, low: int, high: int, scores: Tensor) -> None:
        """Put the scores of items ``low`` to ``high`` into ``[rows, high - low]``."""
        torch.mm(prepared, self.items[low:high].T, out=scores)

    def to_bounds(self, query: Tensor, maxima: Tensor) -> None:
        """Turn the best scores of groups ``[rows, groups]`` into the most that an exact score there can be."""
        maxima += query.norm(dim=1, keepdim=True) * self._error


class WholeProduct(FloatProduct):
    """Scores of vectors rounded to 8-bit whole numbers, each group in a unit of its own.

    Items are taken around their mean, which shifts all scores of a row alike and leaves less to round.
    """

    def __init__(self, items: Tensor, groups: Groups) -> None:
        super().__init__(items)
        self.dtype, self.lowest = torch.int32, torch.iinfo(torch.int32).min
        self._mean = items.mean(0)
        self._whole = torch.zeros(items.shape, dtype=torch.int8, device=items.device)
        self._unit, longest, rounded_off = items.new_zeros(3, groups.n_groups)
        for tile, (low, high, n_groups) in enumerate(groups.tiles()):
            columns = slice(tile * groups.per_tile, tile * groups.per_tile + n_groups)
            group = torch.arange(high - low, device=items.device) % n_groups
            vectors = items[low:high] - self._mean
            longest[columns].scatter_reduce_(0, group, vectors.norm(dim=1), "amax")
            largest = items.new_zeros(n_groups).scatter_reduce_(0, group, vectors.abs().amax(1), "amax")
            self._unit[columns] = _unit(largest)
            unit = self._unit[columns][group].unsqueeze(1)
            self._whole[low:high] = (vectors / unit).round_()
            vectors -= self._whole[low:high] * unit
            rounded_off[columns].scatter_reduce_(0, group, vectors.norm(dim=1), "amax")
        self._errors = torch.stack([longest, rounded_off, torch.ones_like(longest)])

    def n_opened(self, k: int) -> int:
        """See :meth:`FloatProduct.n_opened`: the better the rest is beaten, the more rows are proven."""
        return 2 * k + 12

    def prepare(self, query: Tensor) -> Tensor:
        """See :meth:`FloatProduct.prepare`."""
        return (query / _unit(query.abs().amax(1, keepdim=True))).round_().to(torch.int8)

    def write(self, prepared: Tensor, low: int, high: int, scores: Tensor) -> None:
        """See :meth:`FloatProduct.write`."""
        vectors = self._whole[low:high].T
        if scores.is_contiguous():
            torch._int_mm(prepared, vectors, out=scores)
        else:
            scores.copy_(torch._int_mm(prepared, vectors))

    def to_bounds(self, query: Tensor, maxima: Tensor) -> None:
        """See :meth:`FloatProduct.to_bounds`."""
        unit = _unit(query.abs().amax(1, keepdim=True))
        rounded = self.prepare(query) * unit
        # Cauchy-Schwarz, for what was rounded off the query and off the items.
        off, length = (query - rounded).norm(dim=1), rounded.norm(dim=1)
        remainder = query @ self._mean + query.norm(dim=1) * self._error
        # Products of numbers so small lose their digits to underflow: nothing is proven of such rows.
        remainder.masked_fill_(query.abs().amax(1) < SMALLEST, torch.inf)
        maxima.mul_(self._unit).mul_(unit).addmm_(torch.stack([off, length, remainder], dim=1), self._errors)


def _unit(largest: Tensor) -> Tensor:
    return largest.clamp_min(torch.finfo(largest.dtype).tiny * LARGEST) / LARGEST


def whole_is_fast(items: Tensor) -> bool:
    """Whether this processor multiplies bytes at once, and torch lets it."""
    if items.device.type != "cpu" or items.shape[1] > MAX_SIZE or not hasattr(torch, "_int_mm"):
        return False
    if items.abs().max() < SMALLEST:
        return False
    # Without these instructions a sum of products may saturate, and no bound would hold.
    return bool(getattr(torch.cpu, "_is_vnni_supported", lambda: False)())
