"""The units that training shuffles - windows of sequences, or interactions - and batches that hold a chosen row."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from recbole_logq.data.dataset.windows import Windows
from recbole_logq.lab.subject import Batch


@dataclass(frozen=True)
class Units:
    """The training targets of all units, one unit after the other.

    Args:
        targets: int64 ``[targets]``.
        users: int64 ``[targets]``, the user of each.
        sizes: int64 ``[units]``, targets of each unit.
        of_windows: Whether units are windows, whose targets come together.
        places: int64 ``[targets]``, where each stands among all items of all sequences; None for interactions.
    """

    targets: Tensor
    users: Tensor
    sizes: Tensor
    of_windows: bool
    places: Tensor | None = None

    @classmethod
    def of(cls, windows: Windows) -> Units:
        """The windows of a sequence dataset, as they are cut now."""
        owner = torch.arange(windows.n_windows).repeat_interleave(windows.size)
        first = windows.size.cumsum(0) - windows.size
        place = torch.arange(len(owner)) + (windows.start - first)[owner]
        kept = windows.is_target[place]
        owner, place = owner[kept], place[kept]
        sizes = torch.bincount(owner, minlength=windows.n_windows)
        return cls(windows.items[place], windows.users[place], sizes, of_windows=True, places=place)

    @cached_property
    def first(self) -> Tensor:
        """Where each unit's targets begin, int64 ``[units]``."""
        return self.sizes.cumsum(0) - self.sizes

    @cached_property
    def unit_of(self) -> Tensor:
        """The unit of each target, int64 ``[targets]``."""
        return torch.arange(len(self.sizes)).repeat_interleave(self.sizes)

    def batch(self, units: Tensor, place: int) -> Batch:
        """The batch of some units (int64 ``[batch]``), whose row ``place`` is under examination."""
        sizes = self.sizes[units]
        owner = torch.arange(len(units)).repeat_interleave(sizes)
        at = torch.arange(len(owner)) + (self.first[units] - (sizes.cumsum(0) - sizes))[owner]
        windows = owner if self.of_windows else None
        return Batch(self.targets[at], len(units), self.users[at], windows, place)

    def with_rows(self, rows: Tensor, size: int, seed: int) -> Iterator[list[Batch]]:
        """Endless steps: for each row a batch of its own unit and of others, drawn without replacement as in training.

        Args:
            rows: int64 ``[rows]``, targets under examination.
            size: Units of a batch.
            seed: Seed of the draws.
        """
        generator = torch.Generator().manual_seed(seed)
        unit, total = self.unit_of[rows], len(self.sizes)
        place = (rows - self.first[unit]).tolist()
        size = min(size, total)
        step = torch.arange(size)
        while True:
            order = torch.randperm(total, generator=generator)
            batches = []
            for number, target in enumerate(unit):
                # Each row has a stretch of the order, so that rows share as little of their noise as they can.
                others = order[(number * size + step) % total]
                others = others[others != target][: size - 1]
                batches.append(self.batch(torch.cat([target.unsqueeze(0), others]), place[number]))
            yield batches
