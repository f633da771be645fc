"""The two-tower model: user and item vectors computed apart (Huang et al. 2013; Yi et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_logq.data.histories import HISTORY, check_histories, max_history
from recbole_logq.data.loaders import InteractionLoader
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.models.rows import Rows
from recbole_logq.modules.history_tower import HistoryTower
from recbole_logq.modules.in_parts import in_parts
from recbole_logq.modules.tower import Tower


class TwoTower(RetrievalMixin, GeneralRecommender):
    """Towers over id embeddings with an optional MLP, dot or cosine with a temperature.

    Rows are interactions: ``train_batch_size`` counts them. With ``user_tower: history`` there is no table of users: a
    user is the mean of the items before the target.
    """

    input_type = InputType.POINTWISE
    train_loader = InteractionLoader
    USER_ID: str
    n_users: int
    n_items: int

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        n_users = 0 if max_history(config) else self.n_users
        sparse = self.has_sparse_tables(config, max(n_users, self.n_items))
        shape = (config["embedding_size"], config["mlp_sizes"], config["dropout"])
        self.user_tower = HistoryTower(*shape) if max_history(config) else Tower(self.n_users, *shape, sparse)
        self.item_tower = Tower(self.n_items, *shape, sparse)
        self.build_retrieval(config, dataset)
        self._all_items: Tensor | None = None

    @classmethod
    def check_settings(cls, values: dict[str, Any], given: dict[str, Any]) -> None:
        """See :meth:`RetrievalMixin.check_settings`."""
        super().check_settings(values, given)
        check_histories(values)

    def item_vectors(self, ids: Tensor | None) -> Tensor:
        """See :meth:`RetrievalMixin.item_vectors`."""
        table = torch.arange(self.n_items, device=self.item_tower.embedding.weight.device) if ids is None else ids
        return self.scorer.item(self._encoded(self.item_tower, table))

    def _user_vectors(self, interaction: Any) -> Tensor:
        if isinstance(self.user_tower, HistoryTower):
            # One table for both towers: half the memory, and every target teaches what the item means in a history.
            table = self.item_tower.embedding
            return self._encoded(partial(self.user_tower, table=table), interaction[HISTORY])
        return self._encoded(self.user_tower, interaction[self.USER_ID])

    def _encoded(self, tower: Callable[[Tensor], Tensor], ids: Tensor) -> Tensor:
        """A tower's vectors, part by part in training where ``gradient_cache`` asks for it."""
        if not self.training or not self.gradient_cache or self.gradient_cache >= len(ids):
            return tower(ids)
        return in_parts(tower, [(part,) for part in ids.split(self.gradient_cache)])

    def rows(self, interaction: Any) -> Rows:
        """See :meth:`RetrievalMixin.rows`; a row is an interaction."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        return Rows(
            query=self._user_vectors(interaction),
            positives=items,
            n_units=len(items),
            users=users,
            weights=interaction[self.weight_field] if self.weight_field else None,
            segment=int(interaction[self.segment_field][0]) if self.segment_field else None,
        )

    def train(self, mode: bool = True) -> TwoTower:
        """Switch mode; item vectors kept from an evaluation are dropped."""
        self._all_items = None
        return super().train(mode)

    @property
    def query_columns(self) -> list[str]:
        """See :meth:`RetrievalMixin.query_columns`."""
        return [HISTORY if isinstance(self.user_tower, HistoryTower) else self.USER_ID]

    def queries(self, interaction: Any) -> Tensor:
        """See :meth:`RetrievalMixin.queries`."""
        return self.scorer.query(self._user_vectors(interaction))

    def predict(self, interaction: Any) -> Tensor:
        """Scores of the given pairs, ``[batch]``."""
        return torch.linalg.vecdot(self.queries(interaction), self.item_vectors(interaction[self.ITEM_ID]))

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores of the given users with every item, ``[batch * n_items]``."""
        if self._all_items is None or self.training:
            self._all_items = self.item_vectors(None)
        return (self.queries(interaction) @ self._all_items.T).flatten()
