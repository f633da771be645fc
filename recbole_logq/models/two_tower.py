"""The two-tower model: user and item vectors computed apart (Huang et al. 2013; Yi et al. 2019)."""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_logq.data.loaders import InteractionLoader
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.models.rows import Rows
from recbole_logq.modules.tower import Tower


class TwoTower(RetrievalMixin, GeneralRecommender):
    """Towers over id embeddings with an optional MLP, dot or cosine with a temperature.

    Rows are interactions: ``train_batch_size`` counts them.
    """

    input_type = InputType.POINTWISE
    train_loader = InteractionLoader
    n_users: int
    n_items: int

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        shape = (config["embedding_size"], config["mlp_sizes"], config["dropout"])
        self.user_tower = Tower(self.n_users, *shape)
        self.item_tower = Tower(self.n_items, *shape)
        self.build_retrieval(config, dataset)
        self._all_items: Tensor | None = None

    def item_vectors(self, ids: Tensor | None) -> Tensor:
        """See :meth:`RetrievalMixin.item_vectors`."""
        table = torch.arange(self.n_items, device=self.item_tower.embedding.weight.device) if ids is None else ids
        return self.scorer.item(self.item_tower(table))

    def rows(self, interaction: Any) -> Rows:
        """See :meth:`RetrievalMixin.rows`; a row is an interaction."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        return Rows(
            query=self.user_tower(users),
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

    def queries(self, interaction: Any) -> Tensor:
        """See :meth:`RetrievalMixin.queries`."""
        return self.scorer.query(self.user_tower(interaction[self.USER_ID]))

    def predict(self, interaction: Any) -> Tensor:
        """Scores of the given pairs, ``[batch]``."""
        return torch.linalg.vecdot(self.queries(interaction), self.item_vectors(interaction[self.ITEM_ID]))

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores of the given users with every item, ``[batch * n_items]``."""
        if self._all_items is None or self.training:
            self._all_items = self.item_vectors(None)
        return (self.queries(interaction) @ self._all_items.T).flatten()
