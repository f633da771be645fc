"""The two-tower model: user and item vectors computed apart (Huang et al. 2013; Yi et al. 2019)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from recbole.model.abstract_recommender import GeneralRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_logq.data.batches.loaders import InteractionLoader
from recbole_logq.data.dataset.event_times import AGE, ASKED, TIMES, asks_when, check_times, reads_times
from recbole_logq.data.dataset.feature_columns import feature_names
from recbole_logq.data.dataset.histories import HISTORY, check_histories, max_history
from recbole_logq.data.dataset.impressions import SHOWN
from recbole_logq.data.dataset.second_histories import check_second_histories, column_of, second_names
from recbole_logq.models.feature_modules import (
    context_fields,
    entity_fields,
    feature_embedding,
    fields_alone,
    second_fields,
    text_fields,
    text_items,
)
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.models.rows import Rows, own_inputs
from recbole_logq.models.sparse import sparse_rule
from recbole_logq.models.time_modules import check_time_context, history_times, time_context
from recbole_logq.modules.example_age import ExampleAge
from recbole_logq.modules.fields import EntityFields, Fields
from recbole_logq.modules.gradient_cache import in_parts
from recbole_logq.modules.query import Request, TwoTowerQuery
from recbole_logq.modules.text_items import TextItems
from recbole_logq.modules.tower import Tower
from recbole_logq.modules.towers import HistoryTower


class TwoTower(RetrievalMixin, GeneralRecommender):
    """Towers over ids and features with an optional MLP, dot or cosine with a temperature.

    Rows are interactions: ``train_batch_size`` counts them. With ``user_tower: history`` there is no table of users: a
    user is the items before the target, pooled, and with ``time`` when they were had.
    """

    input_type = InputType.POINTWISE
    train_loader = InteractionLoader
    n_users: int
    n_items: int
    ITEM_ID: str
    USER_ID: str

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        longest = max_history(config)
        sparse = sparse_rule(config, max(0 if longest else self.n_users, self.n_items))
        shape = (config["embedding_size"], config["mlp_sizes"], config["dropout"])
        std = config["embedding_size"] ** -0.5
        self.user_tower: HistoryTower | Tower
        self.user_fields: EntityFields | None = None
        self.user_texts: EntityFields | None = None
        if longest:
            attention = longest if config["history_pooling"] == "attention" else None
            self.user_tower = HistoryTower(*shape, attention, history_times(config, dataset))
            self.user_fields = entity_fields(["user_features"], config, dataset, std)
            self.user_texts = entity_fields(["user_text"], config, dataset, std)
        else:
            users = feature_embedding("user_features", config, dataset, std)
            self.user_tower = Tower(self.n_users, *shape, sparse, users)
        items = feature_embedding("item_features", config, dataset, std)
        self.item_tower = Tower(self.n_items, *shape, sparse, items)
        self.context_features = feature_names(config, "context_features")
        self.user_text, self.item_text = (feature_names(config, key) for key in ("user_text", "item_text"))
        self.context: Fields | None = context_fields(config, dataset, std)
        self.time_context = time_context(config, dataset, std)
        self.second = second_fields(config, dataset, std)
        self.second_columns = [column_of(name) for name in second_names(config)]
        self.example_age = ExampleAge(config["embedding_size"], std) if config["example_age"] else None
        self.time_columns = (TIMES,) * reads_times(config) + (ASKED,) * asks_when(config)
        self.build_retrieval(config, dataset)

    @classmethod
    def check_settings(cls, values: dict[str, Any], given: dict[str, Any]) -> None:
        """See :meth:`RetrievalMixin.check_settings`."""
        super().check_settings(values, given)
        check_histories(values)
        check_times(values, given)
        check_time_context(values)
        check_second_histories(values)

    @property
    def query_columns(self) -> tuple[str, ...]:
        """See :attr:`RetrievalMixin.query_columns`."""
        histories = isinstance(self.user_tower, HistoryTower)
        known = self.user_fields is not None or self.user_texts is not None
        user = (self.USER_ID,) if not histories or known else ()
        first = (HISTORY, *self.second_columns) if histories else ()
        return (*first, *user, *self.context_features, *self.time_columns)

    def item_vectors(self, ids: Tensor | None) -> Tensor:
        """See :meth:`RetrievalMixin.item_vectors`."""
        if ids is None:
            ids = torch.arange(self.n_items, device=next(self.item_tower.parameters()).device)
        return self.scorer.item(self._encoded(self.item_tower, ids))

    def item_encoder(self) -> Tower:
        """See :meth:`RetrievalMixin.item_encoder`."""
        return self.item_tower

    def vectors_of_new_items(self, columns: Sequence[Tensor]) -> Tensor:
        """See :meth:`RetrievalMixin.vectors_of_new_items`."""
        return self.scorer.item(self.item_tower.mlp(fields_alone(self.item_tower.embedding, columns)))

    def _user_vectors(self, interaction: Any) -> Tensor:
        return self._encoded(self._encode_users, *(interaction[column] for column in self._training_columns))

    def _encode_users(self, *columns: Tensor) -> Tensor:
        """Vectors of users, from the columns of training."""
        known = dict(zip(self._training_columns, columns, strict=True))
        return self.query_encoder().vectors(self.request(known)._replace(age=known.get(AGE)))

    @property
    def _training_columns(self) -> tuple[str, ...]:
        return (*self.query_columns, *((AGE,) if self.example_age is not None else ()))

    def _encoded(self, tower: Callable[..., Tensor], *columns: Tensor) -> Tensor:
        """A tower's vectors, part by part in training where ``gradient_cache`` asks for it."""
        if not self.training or not self.gradient_cache or self.gradient_cache >= len(columns[0]):
            return tower(*columns)
        return in_parts(tower, list(zip(*(column.split(self.gradient_cache) for column in columns), strict=True)))

    def rows(self, interaction: Any) -> Rows:
        """See :meth:`RetrievalMixin.rows`; a row is an interaction."""
        users, items = interaction[self.USER_ID], interaction[self.ITEM_ID]
        reads_history = isinstance(self.user_tower, HistoryTower) and self.own == "window"
        return Rows(
            query=self._user_vectors(interaction),
            positives=items,
            n_units=len(items),
            users=users,
            weights=interaction[self.weight_field] if self.weight_field else None,
            shown=interaction[SHOWN] if self.impression_field else None,
            segment=interaction[self.segment_field][0] if self.segment_field else None,
            further_own=own_inputs(interaction[HISTORY]) if reads_history else None,
        )

    def query_encoder(self) -> TwoTowerQuery:
        """See :meth:`RetrievalMixin.query_encoder`."""
        tower, items = self.user_tower, None
        texts: Fields | None = self.user_texts
        if isinstance(tower, HistoryTower):
            items = self.item_tower.embedding
        else:
            texts = text_fields(self.user_text, tower.embedding)
        known = (self.user_fields, self.context, self.time_context, texts, self.second, self.example_age)
        return TwoTowerQuery(tower, self.scorer, items, *known)

    def text_items(self) -> TextItems | None:
        """See :meth:`RetrievalMixin.text_items`."""
        return text_items(self.item_text, self.item_tower.embedding, self.item_tower.mlp, self.scorer)

    def request(self, interaction: Any) -> Request:
        """See :meth:`RetrievalMixin.request`."""
        known = {column: interaction[column] for column in self.query_columns}
        context = [known[column] for column in self.context_features]
        return Request(
            user=known.get(self.USER_ID),
            history=known.get(HISTORY),
            context=context,
            times=known.get(TIMES),
            request_time=known.get(ASKED),
            second=[known[column] for column in self.second_columns],
        )
