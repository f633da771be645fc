"""The features that settings name, as modules of a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from recbole_logq.data.dataset.feature_columns import columns_of, feature_names, seen_ids
from recbole_logq.errors import RequestError
from recbole_logq.models.sparse import sparse_rule
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.fields import EntityFields, Fields


def entity_fields(key: str, config: Any, dataset: Any, std: float) -> EntityFields | None:
    """The features of all users or items; None where a setting names none.

    Args:
        key: ``user_features`` or ``item_features``.
        config: The checked settings.
        dataset: The training part.
        std: Standard deviation of their vectors at the start.
    """
    names = feature_names(config, key)
    if not names:
        return None
    columns, (users, items) = columns_of(dataset, key, names), seen_ids(dataset)
    seen = users if key == "user_features" else items
    return EntityFields.learned(columns, seen, config["embedding_size"], std, partial(sparse_rule, config))


def feature_embedding(key: str, config: Any, dataset: Any, std: float) -> FeatureEmbedding | None:
    """The same beside ids, or in their place."""
    fields = entity_fields(key, config, dataset, std)
    if fields is None:
        return None
    return FeatureEmbedding(
        fields,
        config["embedding_size"],
        std,
        use_id=config["use_user_id" if key == "user_features" else "use_item_id"],
        sparse=sparse_rule(config, fields.n_rows),
        id_dropout=config["id_dropout"],
    )


def context_fields(config: Any, dataset: Any, std: float) -> Fields | None:
    """The features of interactions; None where there are none. Arguments as above."""
    names = feature_names(config, "context_features")
    if not names:
        return None
    columns, everywhere = columns_of(dataset, "context_features", names), torch.ones(len(dataset), dtype=torch.bool)
    return Fields.learned(columns, everywhere, config["embedding_size"], std, partial(sparse_rule, config))


def fields_alone(embedding: nn.Embedding | FeatureEmbedding, columns: Sequence[Tensor]) -> Tensor:
    """Vectors of entities without an id, from values of their fields, ``[rows, size]``.

    Raises:
        RequestError: Ids are all that the embedding knows.
    """
    if not isinstance(embedding, FeatureEmbedding):
        raise RequestError("item_features: the model has none, and nothing to make a new item's vector of")
    return embedding.fields(columns)
