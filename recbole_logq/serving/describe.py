"""A model's query encoder in the words of :mod:`recbole_logq.serving.description`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter, ValidationError

from recbole_logq.data.dataset.event_times import needs_times, unit_of
from recbole_logq.data.dataset.second_histories import holds_several, second_names
from recbole_logq.errors import RequestError
from recbole_logq.modules.fields import EntityFields, TokenField
from recbole_logq.modules.query import SequenceQuery
from recbole_logq.modules.scorer import Scorer
from recbole_logq.modules.towers import HistoryTower
from recbole_logq.serving.asked_file import COLUMNS
from recbole_logq.serving.context import TOKEN, type_of
from recbole_logq.serving.description import Description, EncoderDescription, ItemTextDescription
from recbole_logq.serving.plain import first_problem

_OF_A_SEQUENCE = ("n_layers", "n_heads", "inner_size", "block", "norm", "feed_forward", "positions")
_OF_TIMES = ("time", "request_time", "time_buckets")


def describe(network: Any, config: Any, data: Any, kept: Mapping[str, int] | None = None) -> Description:
    """What computes the queries of a model.

    Args:
        network: The model.
        config: Its settings.
        data: The training part, which has the context.
        kept: Tokens that the folder has of each second history.

    Raises:
        RequestError: The model has a size beyond what a folder may have, or a column of the context or a text is called
            like one of the files that `recommend` reads.
    """
    query = network.query_encoder()
    values: dict[str, Any] = {"size": config["embedding_size"], "scorer": _scorer(network.scorer)}
    if isinstance(query, SequenceQuery):
        values |= {"kind": "sequence", "max_history": int(config["MAX_ITEM_LIST_LENGTH"])}
        values |= {key: config[key] for key in (*_OF_A_SEQUENCE, "input_norm", "scale_embedding")}
        values |= {key: config[key] for key in (*_OF_TIMES, "bias_weights")}
    else:
        values |= {"mlp_sizes": list(config["mlp_sizes"]), "context": _context(network, data)}
        values["time_context"] = config["time_context"] or []
        values["texts"] = _user_texts(network, config)
        if isinstance(query.user_tower, HistoryTower):
            values |= {
                "kind": "history",
                "max_history": int(config["max_history"] or config["MAX_ITEM_LIST_LENGTH"]),
                "pooling": config["history_pooling"],
                "user_fields": [] if query.user_fields is None else _user_fields(query.user_fields),
                "second": _second(config, kept or {}),
                **{key: config[key] for key in _OF_TIMES},
            }
        else:
            values["kind"] = "user"
    if needs_times(config):
        values["time_unit"] = unit_of(float(data.flat_times.max()))
    try:
        return TypeAdapter(EncoderDescription).validate_python(values)
    except ValidationError as error:
        raise RequestError(f"{config['model']} cannot be exported, its encoder's {first_problem(error)}") from error


def _second(config: Any, kept: Mapping[str, int]) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    for name in second_names(config):
        if name in COLUMNS:
            raise RequestError(f"second_histories: {name} is what `recommend` calls a column of its own; rename it")
        several = holds_several(config, name)
        described.append(
            {"name": name, "buckets": config["text_buckets"], "several": several, "kept": kept.get(name, 0)}
        )
    return described


def describe_items(network: Any, config: Any) -> ItemTextDescription | None:
    """What makes vectors of items of which texts alone are known; None for a model that reads none.

    Raises:
        RequestError: A column is called like one of the files that `recommend` reads.
    """
    if not network.item_text:
        return None
    texts = _texts("item_text", network.item_text, config)
    values = {
        "size": config["embedding_size"],
        "mlp_sizes": list(config["mlp_sizes"] or []),
        "cosine": network.scorer.cosine,
    }
    return ItemTextDescription.model_validate({**values, "texts": texts})


def _texts(key: str, names: list[str], config: Any) -> list[dict[str, Any]]:
    if reserved := [name for name in names if name in (*COLUMNS, "item")]:
        raise RequestError(f"{key}: {reserved[0]} is what `recommend` calls a column of its own; rename it")
    return [{"name": name, "buckets": config["text_buckets"], "parts": config["text_length"]} for name in names]


def _user_texts(network: Any, config: Any) -> list[dict[str, Any]]:
    described = _texts("user_text", network.user_text, config)
    for position, text in enumerate(described):
        kept = network.user_texts
        text["width"] = None if kept is None else getattr(kept, f"values_{position}").shape[1]
    return described


def _scorer(scorer: Scorer) -> dict[str, Any]:
    similarity = "cosine" if scorer.cosine else "dot"
    arguments = {"temperature": scorer.start, "mode": scorer.mode, "end": scorer.end, "steps": scorer.steps}
    return {"similarity": similarity, **arguments}


def _context(network: Any, data: Any) -> list[dict[str, Any]]:
    columns: list[dict[str, Any]] = []
    for name in network.context_features:
        if name in COLUMNS:
            raise RequestError(f"context_features: {name} is what `recommend` calls a column of its own; rename it")
        columns.append({"name": name, "type": type_of(data.inter_feat[name])})
        if columns[-1]["type"] == TOKEN:
            columns[-1]["n_tokens"] = len(data.field2id_token[name])
    return columns


def _user_fields(fields: EntityFields) -> list[dict[str, Any]]:
    described: list[dict[str, Any]] = []
    for position, field in enumerate(fields.fields):
        values = getattr(fields, f"values_{position}")
        if isinstance(field, TokenField):
            length = values.shape[1] if values.dim() > 1 else None
            described.append({"type": TOKEN, "n_tokens": len(field.known), "length": length})
        else:  # several numbers are kept in half precision, one is not
            length = values.shape[1] if values.element_size() == 2 else None
            described.append({"type": str(field.mean.dtype).removeprefix("torch."), "length": length})
    return described
