"""The features that settings name, as modules of a model."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from logging import getLogger
from typing import Any

import torch
from torch import Tensor, nn

from recbole_logq.data.dataset.feature_columns import SUFFIX, TEXT, columns_of, feature_names, seen_ids
from recbole_logq.data.dataset.second_histories import known_buckets, second_names
from recbole_logq.errors import RequestError
from recbole_logq.models.sparse import sparse_rule
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.fields import EntityFields, Fields, TokenField
from recbole_logq.modules.scorer import Scorer
from recbole_logq.modules.text_items import TextItems


def entity_fields(keys: Sequence[str], config: Any, dataset: Any, std: float) -> EntityFields | None:
    """The features and texts of all users or items; None where the settings name none.

    Args:
        keys: ``user_features`` and ``user_text``, or one of them; or those of items. The fields are in that order.
        config: The checked settings.
        dataset: The training part.
        std: Standard deviation of their vectors at the start.
    """
    setting_and_column = [(key, name) for key in keys for name in feature_names(config, key)]
    if not setting_and_column:
        return None
    columns = [column for key in keys for column in columns_of(dataset, key, feature_names(config, key), config)]
    users, items = seen_ids(dataset)
    seen = users if SUFFIX[keys[0]] == "user" else items
    fields = EntityFields.learned(columns, seen, config["embedding_size"], std, partial(sparse_rule, config))
    for position, ((key, name), column) in enumerate(zip(setting_and_column, columns, strict=True)):
        if key in TEXT.values() and (lost := _unknown(column.values, getattr(fields, f"values_{position}"))):
            getLogger().info(f"{key}: {name} of {lost:,} rows has nothing that training knows, and adds nothing")
    return fields


def _unknown(values: Tensor, prepared: Tensor) -> int:
    """Rows that have a text none of whose parts is in any text that training sees."""
    return int(((values[1:] > 0).any(1) & ~(prepared[1:] > 0).any(1)).sum())


def feature_embedding(key: str, config: Any, dataset: Any, std: float) -> FeatureEmbedding | None:
    """The same beside ids, or in their place; ``key`` is ``user_features`` or ``item_features``, its texts go along."""
    fields = entity_fields((key, TEXT[key]), config, dataset, std)
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


def text_fields(names: Sequence[str], embedding: nn.Module) -> Fields | None:
    """The texts among the fields of an embedding, which share its weights; None where there are none.

    Args:
        names: Columns that are texts.
        embedding: What :func:`feature_embedding` has made, or another.
    """
    if not names or not isinstance(embedding, FeatureEmbedding):
        return None
    return Fields(list(embedding.fields.fields)[-len(names) :])


def context_fields(config: Any, dataset: Any, std: float) -> Fields | None:
    """The features of interactions; None where there are none. Arguments as above."""
    names = feature_names(config, "context_features")
    if not names:
        return None
    columns, everywhere = (
        columns_of(dataset, "context_features", names, config),
        torch.ones(len(dataset), dtype=torch.bool),
    )
    return Fields.learned(columns, everywhere, config["embedding_size"], std, partial(sparse_rule, config))


def second_fields(config: Any, dataset: Any, std: float) -> Fields | None:
    """Second histories; None where there are none. Arguments as above."""
    names = second_names(config)
    if not names:
        return None
    rows = dataset.inter_feat[dataset.uid_field], dataset.inter_feat[dataset.time_field]
    n_buckets, size = config["text_buckets"], config["embedding_size"]
    sparse = sparse_rule(config, n_buckets)
    known = {name: known_buckets(dataset.second_histories[name], *rows, n_buckets) for name in names}
    for name, buckets in known.items():
        if not buckets.any():
            raise RequestError(
                f"second_histories.{name}: nothing of it lies before a training row of its user, so that nothing can "
                "be learned from it; leave it out"
            )
    return Fields(TokenField(buckets, size, std, sparse) for buckets in known.values())


def fields_alone(embedding: nn.Embedding | FeatureEmbedding, columns: Sequence[Tensor]) -> Tensor:
    """Vectors of entities without an id, from values of their fields, ``[rows, size]``.

    Raises:
        RequestError: Ids are all that the embedding knows.
    """
    if not isinstance(embedding, FeatureEmbedding):
        raise RequestError("item_features: the model has none, and nothing to make a new item's vector of")
    return embedding.fields(columns)


@torch.no_grad()
def text_items(names: Sequence[str], embedding: nn.Module, mlp: nn.Module, scorer: Scorer) -> TextItems | None:
    """What makes vectors of items of which nothing but texts is known; None for a model that reads none.

    Args:
        names: Columns that are texts.
        embedding: The items' own.
        mlp: Layers on top of it.
        scorer: Scorer of the model.
    """
    texts = text_fields(names, embedding)
    if texts is None or not isinstance(embedding, FeatureEmbedding):
        return None
    nobody = torch.zeros(1, dtype=torch.int64, device=next(texts.parameters()).device)
    return TextItems(texts, embedding.fields.of(nobody)[0].float(), mlp, scorer.cosine)
