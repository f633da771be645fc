"""Full-ranking evaluation for every model: wide blocks of rows, and one rule for the history."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.dataloader.abstract_dataloader import AbstractDataLoader
from recbole.data.interaction import Interaction
from recbole.model.abstract_recommender import AbstractRecommender
from recbole.utils import ModelType

from recbole_logq.data.dataset.event_times import ASKED, TIMES, asks_when, last_times, reads_times
from recbole_logq.data.dataset.exact_time import HISTORY_END
from recbole_logq.data.dataset.feature_columns import feature_names
from recbole_logq.data.dataset.histories import HISTORY, last_items, max_history
from recbole_logq.data.dataset.protocol import filters_history
from recbole_logq.data.dataset.second_histories import SecondColumns, second_names
from recbole_logq.errors import RequestError

# RecBole ranks for eval_batch_size // n_items users at a time, which is one user on most catalogues. A block of this
# many scores is 16 MB and keeps the matrix product busy.
SCORES_PER_BLOCK = 1 << 22
MAX_ROWS = 4096

Block = tuple[Interaction, tuple[torch.Tensor, torch.Tensor] | None, torch.Tensor, torch.Tensor]


class RankingLoader(FullSortEvalDataLoader):
    """What RecBole's loader of the same kind yields, in wider blocks.

    A row is a user with all targets (general models) or one target (sequential models). With ``filter_history`` the
    scores of everything the user had before the first target are taken out of the ranking, targets excepted. Under a
    random split, where no target comes before another, that is everything in the earlier parts. A model that reads
    histories gets the last items before the first target as ``HISTORY`` and, if it reads them, their times and what
    second histories hold before the time of that target; one that
    reads ``context_features`` or knows when it is asked, those and the time of the first target (under a random split,
    of one of them).

    ``eval_batch_size`` is a number of scores, as in RecBole: a block has rows for that many, or for
    ``SCORES_PER_BLOCK`` if that is more. It means nothing for the own models' metrics of the best items: their items
    stream by, no block of scores exists, and :meth:`blocks` is asked for a number of rows.

    Attributes:
        pairs_only: Whether the model scores pairs of a row and an item, not all items of a row.

    Args:
        config: Settings, of which ``filter_history``, ``eval_batch_size`` and the fields' names are read.
        dataset: The part to evaluate.
        earlier: The parts before it.

    Raises:
        RequestError: A history is to be filtered that the dataset does not know.
    """

    def __init__(self, config: Any, dataset: Any, earlier: Sequence[Any]) -> None:
        self._second: SecondColumns | None = None
        self.uid_field, self.iid_field = dataset.uid_field, dataset.iid_field
        self.is_sequential = config["MODEL_TYPE"] == ModelType.SEQUENTIAL
        self.filter_history = filters_history(config)
        rows = dataset.inter_feat
        users, items = rows[self.uid_field], rows[self.iid_field]
        if self.is_sequential:
            self._row_users = users
            self._target_rows, self._target_items = torch.arange(len(users)), items
        else:
            self._row_users, row_of = torch.unique(users, return_inverse=True)
            pairs = torch.unique(row_of * dataset.item_num + items)
            self._target_rows = torch.div(pairs, dataset.item_num, rounding_mode="floor")
            self._target_items = pairs % dataset.item_num
            self._user_rows = dataset.join(Interaction({self.uid_field: self._row_users}))
            context = feature_names(config, "context_features")
            second = second_names(config)
            if context or asks_when(config) or second:
                first = self._first_rows(rows, row_of)
                self._user_rows.update(Interaction({field: rows[field][first] for field in context}))
                if asks_when(config):
                    self._user_rows.update(Interaction({ASKED: rows[dataset.time_field][first]}))
                if second:
                    moments = self._row_users, rows[dataset.time_field][first]
                    self._second = SecondColumns(config, dataset, torch.device("cpu"), moments)
        self._max_history = max_history(config)
        self._reads_times = bool(self._max_history) and reads_times(config)
        if self.filter_history or self._max_history:
            self._find_history(dataset, earlier)
        self.sample_size = len(self._row_users)
        self.pairs_only = config.model_class.full_sort_predict is AbstractRecommender.full_sort_predict
        AbstractDataLoader.__init__(self, config, dataset, None, shuffle=False)

    def _first_rows(self, rows: Interaction, row_of: torch.Tensor) -> torch.Tensor:
        """The interaction with each row's first target; int64 ``[rows]``."""
        order = rows[HISTORY_END] if HISTORY_END in rows else torch.arange(len(row_of))
        first = torch.full_like(self._row_users, torch.iinfo(torch.int64).max)
        first = first.scatter_reduce(0, row_of, order, "amin")
        interactions = (order == first[row_of]).nonzero().flatten()
        return torch.empty_like(self._row_users).scatter_(0, row_of[interactions], interactions)

    def _find_history(self, dataset: Any, earlier: Sequence[Any]) -> None:
        """Set the item sequence and where each row's history starts and ends in it."""
        rows = dataset.inter_feat
        if HISTORY_END in rows:
            owners, self._history_items = dataset.flat_users, dataset.flat_items
            end = rows[HISTORY_END]
            if not self.is_sequential:
                first = torch.full_like(self._row_users, len(owners))
                row_of = torch.searchsorted(self._row_users, rows[self.uid_field])
                end = first.scatter_reduce(0, row_of, end, "amin")
            self._end = end
        elif self.is_sequential:
            raise RequestError(
                f"filter_history=true: RecBole's dataset of {dataset.config['model']} does not keep whole histories; "
                "leave it out"
            )
        else:
            owners = torch.cat([part.inter_feat[self.uid_field] for part in earlier])
            items = torch.cat([part.inter_feat[self.iid_field] for part in earlier])
            order = owners.argsort(stable=True)
            owners, self._history_items = owners[order], items[order]
            self._end = torch.searchsorted(owners, self._row_users, right=True)
        self._start = torch.searchsorted(owners, self._row_users)

    def _init_batch_size_and_step(self) -> None:
        n_items = self._dataset.item_num
        self.step = min(max(self.config["eval_batch_size"], SCORES_PER_BLOCK) // n_items, MAX_ROWS) or 1
        if self.pairs_only:  # RecBole makes a row of every (row, item) pair, with all features of both
            self.step = max(self.config["eval_batch_size"] // n_items, 1)
        self.set_batch_size(self.step * n_items)

    def rank_pairs(self) -> None:
        """Turn to blocks for a model whose ``full_sort_predict`` turned out not to be implemented."""
        self.pairs_only = True
        self._init_batch_size_and_step()
        self.batch_sampler.batch_size = self.step

    @property
    def users(self) -> torch.Tensor:
        """User of every row, int64 ``[rows]``."""
        return self._row_users

    @property
    def targets(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Row and item of every target, int64 ``[targets]`` both, row by row."""
        return self._target_rows, self._target_items

    def blocks(self, first: int = 0, last: int | None = None, step: int | None = None) -> Iterator[Block]:
        """Blocks of ``step`` rows (those of the loader by default) of the rows ``[first, last)``."""
        last, step = self.sample_size if last is None else last, step or self.step
        for start in range(first, last, step):
            yield self.collate_fn(range(start, min(start + step, last)))

    def collate_fn(self, index: Sequence[int]) -> Block:
        """A block of consecutive rows, as RecBole's trainer takes it."""
        first, last = index[0], index[-1] + 1
        rows = self._dataset[slice(first, last)] if self.is_sequential else self._user_rows[slice(first, last)]
        if self._max_history:
            start, end = self._start[first:last], self._end[first:last]
            rows.update(Interaction({HISTORY: last_items(self._history_items, start, end, self._max_history)}))
            if self._reads_times:
                data, start = self._dataset, torch.maximum(start, end - self._max_history)
                seen = last_times(data.flat_times, data.times_before, start, end, self._max_history)
                rows.update(Interaction({TIMES: seen}))
        if self._second is not None:
            rows.update(Interaction(self._second.of(slice(first, last))))
        low, high = torch.searchsorted(self._target_rows, torch.tensor([first, last]))
        target_rows, target_items = self._target_rows[low:high] - first, self._target_items[low:high]
        history = self._history(first, last, target_rows, target_items) if self.filter_history else None
        return self.transform(self._dataset, rows), history, target_rows, target_items

    def _history(
        self, first: int, last: int, target_rows: torch.Tensor, target_items: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        start, size = self._start[first:last], (self._end - self._start)[first:last]
        rows = torch.arange(last - first).repeat_interleave(size)
        position = torch.arange(len(rows)) - (size.cumsum(0) - size - start).repeat_interleave(size)
        items = self._history_items[position]
        n_items = self._dataset.item_num
        is_history = ~torch.isin(rows * n_items + items, target_rows * n_items + target_items)
        return rows[is_history], items[is_history]
