"""Which columns of the atomic files are features of the towers, and what is in them."""

from __future__ import annotations

from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

import torch
from recbole.utils import FeatureType

from recbole_logq.data.dataset.observed_negatives import observed_field
from recbole_logq.data.source.header import TYPES, declared, interaction_files
from recbole_logq.errors import RequestError
from recbole_logq.modules.fields import Column
from recbole_logq.modules.text import TextHasher
from recbole_logq.settings import RetrievalSettings

SUFFIX = {
    "user_features": "user",
    "item_features": "item",
    "context_features": "inter",
    "user_text": "user",
    "item_text": "item",
}
"""Setting to the file whose columns it names."""
TEXT = {"user_features": "user_text", "item_features": "item_text"}
"""Setting to the one that names columns of the same file which are read as texts."""
DEFAULTS = {key: RetrievalSettings.model_fields[key].default for key in ("text_buckets", "text_length")}
_TYPES = {
    "context_features": ("token", "float"),
    "user_text": ("token", "token_seq"),
    "item_text": ("token", "token_seq"),
}


def feature_names(config: Any, key: str) -> list[str]:
    """The columns that a setting of :data:`SUFFIX` names; none for models without it."""
    return list((config.get(key) if isinstance(config, dict) else config[key]) or [])


def check_features(values: dict[str, Any]) -> None:
    """Refuse features that cannot be meant.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    user, item = values["USER_ID_FIELD"], values["ITEM_ID_FIELD"]
    for key in SUFFIX:
        names = feature_names(values, key)
        for name in names:
            if name in (user, item) or (name in (values.get("alias_of_item_id") or []) and key == "context_features"):
                raise RequestError(f"{key}: {name} is an id, not a feature of one; leave it out")
            if names.count(name) > 1:
                raise RequestError(f"{key}: {name} is in it {names.count(name)} times")
            if name in feature_names(values, TEXT.get(key, "")):
                raise RequestError(f"{key}: {name} is in {TEXT[key]} too; keep it in one of them")
            if name in (values.get("numerical_features") or []):
                raise RequestError(f"{key}: {name} is among numerical_features, which make another thing of it")
    told_after = {values[key] for key in ("LABEL_FIELD", "RATING_FIELD", "weight_field", "grade_field")}
    told_after.add(observed_field(values))
    for name in feature_names(values, "context_features"):
        if name in told_after:
            raise RequestError(
                f"context_features: {name} is known only after the interaction; name what a request knows, such as the "
                "hour or the device"
            )
        if name == values["TIME_FIELD"]:
            _check_request_time(values)
    _check_texts(values)
    _check_ids(values)


def _check_request_time(values: dict[str, Any]) -> None:
    name = values["TIME_FIELD"]
    if values["request_time"] != "known":
        raise RequestError(
            f"context_features: {name} is the time of the request itself, set request_time=known, or leave it out"
        )
    for key in ("time", "time_context", "second_histories"):
        if values.get(key) not in (None, "none", [], {}):
            raise RequestError(
                f"context_features: {name} is the time of the request, which {key}={values[key]} reads already; leave "
                "it out"
            )


def _check_texts(values: dict[str, Any]) -> None:
    texts = feature_names(values, "user_text") or feature_names(values, "item_text")
    for key, default in DEFAULTS.items():
        hashed = texts or (key == "text_buckets" and values.get("second_histories"))
        if values[key] != default and not hashed:
            raise RequestError(f"{key}={values[key]}: set item_text or user_text too, or leave it out")


def _check_ids(values: dict[str, Any]) -> None:
    histories = values.get("user_tower") == "history"
    of_users, of_items = (bool(values[key] or values[text]) for key, text in TEXT.items())
    if not values["use_item_id"] and not of_items:
        raise RequestError("use_item_id=false: an item without its id needs item_features or item_text")
    use_user_id = values.get("use_user_id", True)
    if not use_user_id and histories:
        raise RequestError("use_user_id=false: user_tower=history has no user ids; leave it out")
    if not use_user_id and not of_users:
        raise RequestError(
            "use_user_id=false: a user without an id needs user_features or user_text, or set user_tower=history"
        )
    with_both = (of_items and values["use_item_id"]) or (of_users and use_user_id and not histories)
    if values["id_dropout"] and not with_both:
        raise RequestError(
            f"id_dropout={values['id_dropout']}: it leaves ids out beside their features; set item_features, "
            "item_text, user_features or user_text, or leave it out"
        )


def with_features(load_col: Any, values: dict[str, Any]) -> Any:
    """``load_col`` with the features of users and items; those of interactions are added with other columns there."""
    if not isinstance(load_col, dict):
        return load_col  # everything is loaded
    for key, id_field in (("user_features", "USER_ID_FIELD"), ("item_features", "ITEM_ID_FIELD")):
        names, loaded = [*feature_names(values, key), *feature_names(values, TEXT[key])], load_col.get(SUFFIX[key])
        if names and loaded != "*":
            load_col = {**load_col, SUFFIX[key]: list(dict.fromkeys([*(loaded or [values[id_field]]), *names]))}
    return load_col


def check_files(config: Any) -> None:
    """Look at the headers of the files before anything is loaded.

    Raises:
        RequestError: A file or a column is missing, or of a type that is no feature.
    """
    for key, suffix in SUFFIX.items():
        names = feature_names(config, key)
        if not names:
            continue
        types = header(_file(config, suffix), config, key)
        for name in names:
            if name not in types:
                have = ", ".join(column for column in types if column not in _ids(config)) or "none but ids"
                raise RequestError(
                    f"{key}: the .{suffix} file of {config['dataset']} has no column {name!r}; it has {have}"
                )
            allowed = _TYPES.get(key, TYPES)
            if types[name] not in allowed:
                raise RequestError(
                    f"{key}: {name} is typed {types[name]!r} in the header, and takes {', '.join(allowed)}"
                )
            if name in ((config["unload_col"] or {}).get(suffix) or []):
                raise RequestError(f"{key}: {name} is among unload_col.{suffix}; keep one of them")


def _file(config: Any, suffix: str) -> Path:
    if suffix == "inter":
        return interaction_files(config)[0]
    return Path(config["data_path"]) / f"{config['dataset']}.{suffix}"


def header(file: Path, config: Any, key: str) -> dict[str, str]:
    """Types of a file's columns by their names.

    Args:
        file: An atomic file.
        config: Settings, of which ``encoding`` and ``field_separator`` are read.
        key: The setting that asks, for messages.

    Raises:
        RequestError: There is no such file, or its first line declares no columns.
    """
    if not file.is_file():
        raise RequestError(f"{key}: {file} does not exist")
    return declared(file, config)


def _ids(config: Any) -> tuple[str, str]:
    return config["USER_ID_FIELD"], config["ITEM_ID_FIELD"]


def columns_of(dataset: Any, key: str, names: Sequence[str], config: Any) -> list[Column]:
    """The values of features.

    Args:
        dataset: Any part of it; built.
        key: Key of :data:`SUFFIX`.
        names: Columns of that file.
        config: Settings of the model; a prepared dataset may have those of another.

    Raises:
        RequestError: A column has a value in no row.
    """
    if key in TEXT.values():
        return [_bag(dataset, key, name, text_hasher(config)) for name in names]
    table = {"user": dataset.user_feat, "item": dataset.item_feat, "inter": dataset.inter_feat}[SUFFIX[key]]
    tokens = (FeatureType.TOKEN, FeatureType.TOKEN_SEQ)
    columns = [Column(table[name], dataset.num(name) if dataset.field2type[name] in tokens else 0) for name in names]
    for name, column in zip(names, columns, strict=True):
        _check_values(key, name, column.values if key == "context_features" else column.values[1:])  # 0 is padding
    return columns


def _check_values(key: str, name: str, values: torch.Tensor) -> None:
    numbers = values.is_floating_point() and values.dim() == 1
    if not (~values.isnan() if numbers else values).any():
        raise RequestError(f"{key}: no row of {name} has a value; leave it out")
    if numbers and bool((values == values[0]).all()):
        getLogger().warning(f"{key}: all rows of {name} have the number {values[0]:g}, which adds nothing")


def text_hasher(config: Any) -> TextHasher:
    """What makes bags of texts, as the settings have it."""
    return TextHasher(config["text_buckets"], config["text_length"])


def texts_of(dataset: Any, key: str, name: str) -> list[str]:
    """The texts of a column, one a row; empty where there is none.

    Args:
        dataset: Any part of it; built.
        key: ``user_text`` or ``item_text``.
        name: Column of that file.
    """
    values = (dataset.user_feat if key == "user_text" else dataset.item_feat)[name].tolist()
    tokens = [str(token) for token in dataset.field2id_token[name]]
    tokens[0] = ""  # of padding
    if dataset.field2type[name] == FeatureType.TOKEN:
        return [tokens[value] for value in values]
    return [" ".join(tokens[value] for value in row if value) for row in values]


def _bag(dataset: Any, key: str, name: str, hasher: TextHasher) -> Column:
    texts = texts_of(dataset, key, name)
    values = hasher(texts)
    without, rows = int((values[1:] == 0).all(1).sum()), len(texts) - 1  # row 0 is padding
    if not values.any():
        raise RequestError(f"{key}: no row of {name} has a text with letters or digits; leave it out")
    getLogger().info(
        f"{key}: {name} is empty in {without:,} of {rows:,} rows, which add nothing for it, and cut to its first "
        f"{hasher.length:,} words and trigrams in {hasher.n_cut:,}"
    )
    return Column(values, hasher.n_buckets + 1)


def seen_ids(dataset: Any) -> tuple[torch.Tensor, torch.Tensor]:
    """Which users and which items a training part has; bool ``[users]`` and ``[items]``."""
    users, items = dataset.training_pairs()
    return (
        torch.zeros(dataset.user_num, dtype=torch.bool).index_fill_(0, users, True),
        torch.zeros(dataset.item_num, dtype=torch.bool).index_fill_(0, items, True),
    )
