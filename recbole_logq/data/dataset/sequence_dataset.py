"""A RecBole sequential dataset that keeps each sequence once instead of one padded prefix per interaction."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import torch
from recbole.data.dataset import SequentialDataset
from recbole.data.interaction import Interaction
from recbole.utils import FeatureSource, FeatureType

from recbole_logq.data.dataset.event_times import ASKED, TIMES, asks_when, last_times, reads_times
from recbole_logq.data.dataset.exact_time import HISTORY_END, ExactTimeMixin
from recbole_logq.data.dataset.group_splits import take
from recbole_logq.data.dataset.histories import last_items
from recbole_logq.data.dataset.windows import Windows


class SequenceDataset(ExactTimeMixin, SequentialDataset):
    """The same rows, (user, target) pairs and splits as RecBole's augmentation makes from the same order.

    ``dataset[index]`` gathers the histories of the asked rows on the fly, so RecBole's evaluation loaders work on it.
    """

    item_list_field: str
    inter_feat: Any
    flat_weights: torch.Tensor | None = None
    flat_times: Any

    def data_augmentation(self) -> None:
        """One light row per interaction but a user's first: user, target, history length, where the history ends."""
        self.sort(by=[self.uid_field, self.time_field])
        self._keep_sequences(torch.arange(len(self.inter_feat)))
        if field := self.config["weight_field"]:
            self.flat_weights = self.interaction_column(field)
        rows = self._target_positions()
        start_of_user = torch.searchsorted(self.flat_users, self.flat_users[rows])
        self._set_list_field()
        table = take(self.inter_feat, rows)
        length = (rows - start_of_user).clamp_max(self.max_item_list_len)
        table.update(Interaction({self.item_list_length_field: length, HISTORY_END: rows}))
        self.inter_feat = table
        self._part_of_targets(rows)

    def _set_list_field(self) -> None:
        self.item_list_field = self.iid_field + self.config["LIST_SUFFIX"]
        setattr(self, f"{self.iid_field}_list_field", self.item_list_field)
        source = FeatureSource.INTERACTION
        self.set_field_property(self.item_list_field, FeatureType.TOKEN_SEQ, source, self.max_item_list_len)
        self.set_field_property(self.item_list_length_field, FeatureType.TOKEN, source, 1)

    def __getitem__(self, index: Any, join: bool = True) -> Interaction:
        rows = self.inter_feat[index]
        end, length = rows[HISTORY_END], rows[self.item_list_length_field]
        history = last_items(self.flat_items, end - length, end, self.max_item_list_len)
        rows.update(Interaction({self.item_list_field: history}))
        if self.reads_times:
            seen = last_times(self.flat_times, self.times_before, end - length, end, self.max_item_list_len)
            rows.update(Interaction({TIMES: seen}))
            if asks_when(self.config):
                rows.update(Interaction({ASKED: self.flat_times[end]}))
        return self.join(rows) if join else rows

    @property
    def reads_times(self) -> bool:
        """Whether rows have times."""
        return reads_times(self.config)

    @cached_property
    def windows(self) -> Windows:
        """The training windows of this part."""
        return Windows(self.flat_items, self.flat_users, self.inter_feat[HISTORY_END], self.max_item_list_len)

    def training_pairs(self) -> tuple[torch.Tensor, torch.Tensor]:
        """See :meth:`ExactTimeMixin.training_pairs`; with a user's first item, which is never a target."""
        users, items = super().training_pairs()
        known = users.unique()
        first = self.flat_items[torch.searchsorted(self.flat_users, known)]
        return torch.cat([users, known]), torch.cat([items, first])

    def inter_matrix(self, form: str = "coo", value_field: str | None = None) -> Any:
        """Users x items of this part's targets, as ``scipy.sparse``."""
        return self._create_sparse_matrix(self.inter_feat, self.uid_field, self.iid_field, form, value_field)
