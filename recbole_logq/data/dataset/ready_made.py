"""A ready-made split (``benchmark_filename``): one file of interactions for each part, which the user has cut.

RecBole reads such files past all filters. Here they are rows like any other, which remember their part: ids, filters,
counts and records are those of every data set, and only the cutting is left out.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole.utils import ModelType

from recbole_logq.data.dataset.value_intervals import no_bound
from recbole_logq.data.source.header import declared, interaction_files
from recbole_logq.errors import RequestError

PARTS = ("training", "validation", "test")
READY_MADE = "ready-made"
"""What the record says instead of a way to split."""
_OF_A_CUT = ("split", "order", "group_by", "targets", "unseen")


def check_ready_made(values: dict[str, Any], external: dict[str, Any]) -> None:
    """Refuse what cannot be meant beside a ready-made split.

    Args:
        values: The final settings.
        external: What the user set.

    Raises:
        RequestError: The settings do not fit each other; one line names what to leave out or to set.
    """
    user, item = values["USER_ID_FIELD"], values["ITEM_ID_FIELD"]
    if not user or not item or user == item:
        raise RequestError(f"USER_ID_FIELD={user}, ITEM_ID_FIELD={item}: the names of two columns")
    names = values.get("benchmark_filename")
    if names is None:
        return
    for name in names:
        if not name.strip() or set(name) & set("/\\\0"):
            raise RequestError(f"benchmark_filename: {name!r} is no part's name; train stands for NAME.train.inter")
        if names.count(name) > 1:
            raise RequestError(f"benchmark_filename: {name} is in it {names.count(name)} times; each part is a file")
    for key in _OF_A_CUT:
        if key in (external.get("eval_args") or {}):
            raise RequestError(
                f"eval_args.{key} beside benchmark_filename: the files are the split; leave out one of the two (of "
                "eval_args, a ready-made split has mode alone)"
            )
    if values["recbole_order"]:
        raise RequestError(
            "recbole_order=true beside benchmark_filename: RecBole orders no ready-made split; leave it out"
        )
    if values.get("rm_dup_inter") == "last":
        raise RequestError(
            "rm_dup_inter=last beside benchmark_filename: an interaction of the test part would take one out of "
            "training; set rm_dup_inter=first"
        )


def check_parts(config: Any) -> None:
    """Look at the files of interactions and their headers before anything is read.

    Raises:
        RequestError: A file is missing, or a column is in one part and not in another.
    """
    files, ready_made = interaction_files(config), config["benchmark_filename"] is not None
    for file in files:
        if not file.is_file():
            names = ", ".join(sorted(path.name for path in file.parent.glob("*.inter"))) or "none"
            message = f"{file} does not exist; the .inter files there are {names}"
            if ready_made:
                raise RequestError(f"benchmark_filename: {message}")
            raise RequestError(f"{message}; a ready-made split is named by --benchmark_filename=[train,valid,test]")
    _check_ids(files[0], config)
    if not ready_made:
        return
    first, *types_of_rest = (declared(file, config) for file in files)
    for file, types in zip(files[1:], types_of_rest, strict=True):
        for name in sorted(first.keys() ^ types.keys()):
            with_it, without = (files[0], file) if name in first else (file, files[0])
            raise RequestError(
                f"benchmark_filename: {with_it.name} has the column {name} and {without.name} has not; the parts of a "
                "split have the same columns"
            )
        for name, kind in types.items():
            if kind != first[name]:
                raise RequestError(
                    f"benchmark_filename: {name} is typed {first[name]} in {files[0].name} and {kind} in {file.name}"
                )
    _check_prefixes(config, first)


def _check_ids(file: Path, config: Any) -> None:
    columns, loaded = declared(file, config), (config["load_col"] or {}).get("inter", "*")
    for key in ("USER_ID_FIELD", "ITEM_ID_FIELD"):
        name = config[key]
        if name not in columns:
            raise RequestError(
                f"{key}={name}: {file} has no such column, but {', '.join(columns)}; compare USER_ID_FIELD, "
                "ITEM_ID_FIELD, load_col and the first line of the file"
            )
        if isinstance(loaded, list) and name not in loaded:
            raise RequestError(f"load_col.inter={loaded}: {key}={name} is not among them, and is needed")


def holds_prefixes(config: Any, types: dict[str, str]) -> bool:
    """Whether the files are of RecBole's other form: a row for each target, with the items before it in a column."""
    return config["MODEL_TYPE"] == ModelType.SEQUENTIAL and config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"] in types


def _check_prefixes(config: Any, types: dict[str, str]) -> None:
    if not holds_prefixes(config, types):
        return
    column = config["ITEM_ID_FIELD"] + config["LIST_SUFFIX"]
    if hasattr(config.model_class, "check_settings"):
        raise RequestError(
            f"benchmark_filename: the files have a column {column}, so their rows are prefixes that were cut "
            f"beforehand, and {config['model']} trains on whole sequences: give files with one row for each interaction"
        )
    if column not in (config["alias_of_item_id"] or []):
        raise RequestError(f"benchmark_filename: {column} holds items: set --alias_of_item_id=[{column}]")
    loaded = (config["load_col"] or {}).get("inter", "*")
    if isinstance(loaded, list) and column not in loaded:
        raise RequestError(f"benchmark_filename: {column} is in the files and not loaded; name it in --load_col.inter")
    for key in ("rm_dup_inter", "val_interval", "user_inter_num_interval", "item_inter_num_interval"):
        if config[key] and not (key.endswith("_num_interval") and no_bound(config[key])):
            raise RequestError(
                f"{key} beside benchmark_filename: the items of {column} were cut beforehand, and a filter cannot take "
                f"them out again; leave it out, or give files with one row for each interaction"
            )
