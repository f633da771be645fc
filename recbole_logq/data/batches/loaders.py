"""Training loaders of the own models: index arithmetic on tensors, no Python work per row."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from logging import getLogger
from typing import Any

import torch
from recbole.data.interaction import Interaction

from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.data.batches.window_batch import WindowBatch
from recbole_logq.data.dataset.event_times import (
    AGE,
    ASKED,
    TIMES,
    TOKEN_TIMES,
    asks_when,
    example_age,
    last_times,
    reads_times,
)
from recbole_logq.data.dataset.exact_time import HISTORY_END
from recbole_logq.data.dataset.feature_columns import feature_names
from recbole_logq.data.dataset.histories import HISTORY, last_items, max_history
from recbole_logq.data.dataset.impressions import SHOWN
from recbole_logq.data.dataset.second_histories import SecondColumns, second_names
from recbole_logq.ranks import own_share
from recbole_logq.transfer import to_device


class TensorLoader:
    """Shuffled batches of rows; subclasses say what a row is: a target of the training part, unless they count others.

    Args:
        config: Settings, of which ``train_batch_size``, ``shuffle`` and ``seed`` are read.
        dataset: The training part.

    Attributes:
        least: Training targets that a batch has at least to be planned, so that its shapes are those of all others;
            None where batches are never planned. The trainer sets it.
    """

    least: int | None = None

    def __init__(self, config: Any, dataset: Any) -> None:
        self.dataset = self._dataset = dataset
        self.batch_size: int = config["train_batch_size"]
        self.shuffle: bool = config["shuffle"]
        self.device: torch.device = config["device"]
        self.generator = torch.Generator().manual_seed(config["seed"])

    @property
    def n_rows(self) -> int:
        """Rows an epoch goes over."""
        return len(self.dataset)

    @property
    def n_positives(self) -> int:
        """Training targets an epoch goes over."""
        return len(self.dataset)

    def batch(self, rows: torch.Tensor) -> Interaction:
        """The batch made of ``rows`` (int64 ``[batch]``; none where a process has no share of a small batch)."""
        raise NotImplementedError

    def start_epoch(self) -> None:
        """Called before an epoch is measured or iterated, for loaders whose rows differ from epoch to epoch."""

    @property
    def steps_per_epoch(self) -> int:
        """Steps of an epoch, averaged over epochs: what a schedule counts with."""
        return len(self)

    def __len__(self) -> int:
        return -(-self.n_rows // self.batch_size)

    def __iter__(self) -> Iterator[Any]:
        for rows in self._batches():
            # Every process goes through the same order and takes its share of each batch.
            yield self.batch(rows[own_share(len(rows))])

    def _batches(self) -> Sequence[torch.Tensor]:
        return self._order().split(self.batch_size)

    def _order(self) -> torch.Tensor:
        return torch.randperm(self.n_rows, generator=self.generator) if self.shuffle else torch.arange(self.n_rows)


class InteractionLoader(TensorLoader):
    """Rows are interactions: batches of ``user_id`` and ``item_id``, both ``[batch]``, and the columns of settings.

    The columns lie on the model's device, and so does an epoch's order: a step sends nothing there.

    For a model that reads them, ``HISTORY`` is what the user had before the row's own interaction, ``[batch, length]``,
    ``TIMES`` when, ``ASKED`` the time of the row's own interaction, ``AGE`` how long before the latest that was, and
    columns of second histories what came before that time.
    With ``segment_field`` every batch is of one segment; the batches of all segments come in random order.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        fields = (dataset.uid_field, dataset.iid_field, *feature_names(config, "context_features"))
        columns = {field: dataset.inter_feat[field] for field in fields}
        self._segments: torch.Tensor | None = None
        if config["segment_field"]:
            self._segments = dataset.interaction_column(config["segment_field"])
            columns[config["segment_field"]] = self._segments
            sizes = torch.unique(self._segments, return_counts=True)[1]
            self._n_batches = int((-torch.div(-sizes, self.batch_size, rounding_mode="floor")).sum())
            _say_segments(config["segment_field"], sizes, int((self._segments == 0).sum()))
        if config["weight_field"]:
            columns[config["weight_field"]] = dataset.interaction_column(config["weight_field"])
        if dataset.impression_lists is not None:
            columns[SHOWN] = dataset.impression_lists.list_of_row
        if asks_when(config):
            columns[ASKED] = dataset.interaction_column(dataset.time_field)
        if config["example_age"]:
            columns[AGE] = example_age(dataset.interaction_column(dataset.time_field))
        self._columns = {field: column.to(self.device) for field, column in columns.items()}
        self.max_history = max_history(config)
        self._second = SecondColumns(config, dataset, self.device) if second_names(config) else None
        self._times: tuple[torch.Tensor, torch.Tensor] | None = None
        if self.max_history:
            if reads_times(config):
                self._times = dataset.flat_times.to(self.device), dataset.times_before.to(self.device)
            end = dataset.inter_feat[HISTORY_END]
            start = torch.searchsorted(dataset.flat_users, dataset.inter_feat[dataset.uid_field])
            self._history = start.to(self.device), end.to(self.device)
            self._items = dataset.flat_items.to(self.device)

    def __len__(self) -> int:
        if self._segments is None:
            return super().__len__()
        return self._n_batches

    def _batches(self) -> Sequence[torch.Tensor]:
        order = self._order()
        if self._segments is None:
            return to_device(order, self.device).split(self.batch_size)
        segments, place = self._segments[order].sort(stable=True)
        sizes = torch.unique_consecutive(segments, return_counts=True)[1]
        parts = to_device(order[place], self.device).split(sizes.tolist())
        batches = [batch for part in parts for batch in part.split(self.batch_size)]
        if not self.shuffle:
            return batches
        return [batches[i] for i in torch.randperm(len(batches), generator=self.generator).tolist()]

    def __iter__(self) -> Iterator[Any]:
        if self.least is None:
            yield from super().__iter__()
            return
        for rows in self._batches():
            # All but an epoch's last one have the same shape.
            whole = len(rows) == self.batch_size >= self.least
            yield PlannedBatch(rows, len(rows), self.batch) if whole else self.batch(rows)

    def batch(self, rows: torch.Tensor) -> Interaction:
        columns = {field: column[rows] for field, column in self._columns.items()}
        if self.max_history:
            start, end = (column[rows] for column in self._history)
            columns[HISTORY] = last_items(self._items, start, end, self.max_history)
            if self._times is not None:
                first = torch.maximum(start, end - self.max_history)
                columns[TIMES] = last_times(*self._times, first, end, self.max_history)
        if self._second is not None:
            columns |= self._second.of(rows)
        return Interaction(columns)


def _say_segments(field: str, sizes: torch.Tensor, n_missing: int) -> None:
    log = getLogger()
    if len(sizes) == 1:
        log.warning(f"segment_field={field}: all training rows are of one segment, which changes nothing; leave it out")
        return
    missing = f"; {n_missing:,} rows have none, and are one of them" if n_missing else ""
    log.info(
        f"segment_field={field}: {len(sizes):,} segments of {sizes.min():,} to {sizes.max():,} training rows{missing}"
    )


class WindowLoader(TensorLoader):
    """Rows are windows of users' sequences, batches of their tokens: the item before, the target, its user, its weight.

    The sequences lie on the model's device; a step sends it where its windows begin and how long they are.
    """

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._items = dataset.flat_items.to(self.device)
        self._users = dataset.flat_users.to(self.device)
        self._is_target = dataset.windows.is_target.to(self.device)
        self._weights = None if dataset.flat_weights is None else dataset.flat_weights.to(self.device)
        self._shown: torch.Tensor | None = None
        if (lists := dataset.impression_lists) is not None:
            shown = torch.zeros(len(dataset.flat_items), dtype=torch.int64)
            shown[dataset.inter_feat[HISTORY_END]] = lists.list_of_row
            self._shown = shown.to(self.device)
        self._times: torch.Tensor | None = None
        if dataset.reads_times:
            # Before, own event and query of each input, in the row of its target.
            event = dataset.flat_times.roll(1)
            query = dataset.flat_times if config["request_time"] == "known" else event
            self._times = torch.stack((dataset.times_before.roll(1), event, query), 1).to(self.device)

    def start_epoch(self) -> None:
        self.dataset.windows.cut_at_random(self.generator)

    @property
    def steps_per_epoch(self) -> int:
        return -(-self.dataset.windows.expected_n_windows // self.batch_size)

    @property
    def n_rows(self) -> int:
        return self.dataset.windows.n_windows

    @property
    def n_positives(self) -> int:
        return len(self.dataset)

    def batch(self, rows: torch.Tensor) -> WindowBatch:
        data, windows = self.dataset, self.dataset.windows
        packing, place = windows.tokens(rows, self.device)
        columns = {
            data.item_list_field: self._items[place - 1],
            data.iid_field: self._items[place],
            data.uid_field: self._users[place],
        }
        if self._times is not None:
            columns[TOKEN_TIMES] = self._times[place]
        if self._weights is not None:
            columns[data.config["weight_field"]] = self._weights[place]
        if self._shown is not None:
            columns[SHOWN] = self._shown[place]
        n_targets = windows.n_targets(rows)
        if n_targets == packing.n_tokens:
            return WindowBatch(columns, packing, None)
        # With their number known, an accelerator need not be asked for it.
        real = torch.nonzero_static(self._is_target[place], size=n_targets).flatten()
        return WindowBatch(columns, packing, real)
