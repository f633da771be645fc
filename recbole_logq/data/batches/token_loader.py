"""Batches of windows that are filled to a number of tokens, so that their shapes can be the same in every step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor

from recbole_logq.data.batches.loaders import WindowLoader
from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.data.batches.window_batch import WindowBatch
from recbole_logq.data.dataset.event_times import TOKEN_TIMES
from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.transfer import to_device

SPARE = 2
"""A batch has room for that many times the windows that fill it on average."""


def window_loader(config: Any, dataset: Any) -> WindowLoader:
    """The loader of windows that the settings ask for: by tokens, or by their number."""
    return (TokenLoader if config["train_batch_tokens"] else WindowLoader)(config, dataset)


class TokenLoader(WindowLoader):
    """Rows are windows as in :class:`WindowLoader`; a batch takes windows until the next one no longer fits.

    Args:
        config: Settings, ``train_batch_tokens`` among them.
        dataset: The training part.

    Attributes:
        budget: Tokens of a batch, rounded up to a multiple of the longest window.
        max_windows: Windows of a batch, at most.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self.longest = dataset.windows.length
        self.budget = -(-config["train_batch_tokens"] // self.longest) * self.longest
        windows = dataset.windows
        average = max(windows.n_tokens / windows.expected_n_windows, 1.0)
        self.max_windows = int(SPARE * self.budget / average) + 1
        self._plan: list[Tensor] | None = None
        self._n_batches = self.steps_per_epoch

    def start_epoch(self) -> None:
        super().start_epoch()
        self._plan = self._filled()

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.dataset.windows.n_tokens // self.budget)

    def __len__(self) -> int:
        return self._n_batches

    def _batches(self) -> Sequence[Tensor]:
        plan, self._plan = self._plan or self._filled(), None
        return plan

    def _filled(self) -> list[Tensor]:
        """An epoch's order, cut wherever the next window does not fit."""
        order = self._order()
        ends = self.dataset.windows.size[order].cumsum(0)
        batches, first, before = [], 0, 0
        while first < len(order):
            stop = int(torch.searchsorted(ends, before + self.budget, right=True))
            stop = min(stop, first + self.max_windows)
            batches.append(order[first:stop])
            first, before = stop, int(ends[stop - 1])
        self._n_batches = len(batches)
        return batches

    def __iter__(self) -> Iterator[Any]:
        if self.least is None:
            yield from super().__iter__()
            return
        windows, batches = self.dataset.windows, self._batches()
        # An epoch's plan is sent to the device at once.
        plans = torch.zeros(len(batches), 2, self.max_windows, dtype=torch.int64)
        for plan, rows in zip(plans, batches, strict=True):
            plan[0, : len(rows)], plan[1, : len(rows)] = windows.start[rows], windows.size[rows]
        for plan, rows in zip(to_device(plans, self.device), batches, strict=True):
            n_targets = windows.n_targets(rows)
            yield self.batch(rows) if n_targets < self.least else PlannedBatch(plan, n_targets, self.make)

    def make(self, plan: Tensor) -> WindowBatch:
        """A batch of fixed shapes from the starts and the sizes of its windows, int64 ``[2, max_windows]``."""
        data = self.dataset
        packing = FixedPacking(plan[1], self.budget, self.longest)
        inside = packing.sequence < self.max_windows
        start = plan[0][packing.sequence.clamp_max(self.max_windows - 1)]
        place = (start + packing.position).clamp_max(len(self._items) - 1)
        real = inside & self._is_target[place]
        columns = {
            data.item_list_field: self._items[place - 1].masked_fill_(~inside, 0),
            data.iid_field: self._items[place].masked_fill_(~real, 0),
            data.uid_field: self._users[place],
        }
        if self._times is not None:
            columns[TOKEN_TIMES] = self._times[place]
        if self._weights is not None:
            columns[data.config["weight_field"]] = self._weights[place]
        return WindowBatch(columns, packing, real)
