"""How a catalogue is cut into tiles, which are scored at once, and groups, of which only the maximum is kept."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor


class Groups:
    """Items 1 to ``n_items - 1`` in tiles of ``columns``, in each tile ``columns / size`` groups of ``size`` items.

    The items of a group are far apart in their tile, so that the maximum runs along memory. The last tile may be
    narrower.

    Args:
        n_items: Number of items with the padding item, which is in no group.
        columns: Items of a tile, a multiple of ``size``.
        size: Items of a group.
    """

    def __init__(self, n_items: int, columns: int, size: int) -> None:
        self.n_items, self.size = n_items, size
        self.columns, self.per_tile = columns, columns // size
        self._full = (n_items - 1) // columns
        remainder = (n_items - 1) % columns
        self._last_step = -(-remainder // size)
        self.n_groups = self._full * self.per_tile + self._last_step

    def tiles(self) -> Iterator[tuple[int, int, int]]:
        """First item, the item after the last, and the number of groups of each tile."""
        for low in range(1, self.n_items, self.columns):
            high = min(low + self.columns, self.n_items)
            yield low, high, -(-(high - low) // self.size)

    def members(self, groups: Tensor) -> Tensor:
        """Items of groups ``[rows, groups]``: ``[rows, groups * size]``, 0 where the last tile has no more."""
        tile = groups // self.per_tile
        step = self._step(tile)
        first = 1 + tile * self.columns + groups % self.per_tile
        places = torch.arange(self.size, device=groups.device)
        items = first.unsqueeze(2) + step.unsqueeze(2) * places
        return items.masked_fill_(items >= self.n_items, 0).flatten(1)

    def place(self, items: Tensor) -> tuple[Tensor, Tensor]:
        """Group of each item, and its place there."""
        tile, column = (items - 1) // self.columns, (items - 1) % self.columns
        step = self._step(tile)
        return tile * self.per_tile + column % step, column // step

    def _step(self, tile: Tensor) -> Tensor:
        return torch.where(tile < self._full, self.per_tile, self._last_step)
