"""What ``val_interval`` means: intervals of a column of numbers, a list of the names in a column of tokens."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.data.dataset.loaded_columns import how_to_load
from recbole_logq.data.dataset.value_intervals import Interval, parse_intervals
from recbole_logq.data.source.header import declared, interaction_files
from recbole_logq.errors import RequestError


def check_filters(config: Any) -> None:
    """Hold ``val_interval`` against the columns of the files before anything is read.

    Raises:
        RequestError: No such column, one that is not loaded, or values that such a column cannot have.
    """
    intervals = config["val_interval"] or {}
    if not intervals:
        return
    types: dict[str, tuple[str, str]] = {}  # column to its file's suffix and its type
    folder, name = Path(config["data_path"]), config["dataset"]
    of_ids = [(suffix, folder / f"{name}.{suffix}") for suffix in ("user", "item")]
    for suffix, file in [("inter", interaction_files(config)[0]), *of_ids]:
        if file.is_file():
            for column, kind in declared(file, config).items():
                types.setdefault(column, (suffix, kind))
    for column, value in intervals.items():
        key = f"val_interval.{column}"
        if column not in types:
            raise RequestError(f"{key}: the files of {name} have no such column; they have {', '.join(types)}")
        suffix, kind = types[column]
        if not _is_loaded(config, suffix, column):
            reason = f"the column is in the .{suffix} file and not loaded"
            raise RequestError(f"{key}: {reason}; {how_to_load(config, suffix, column)}")
        if kind == "float":
            intervals_of(key, value)
        elif kind == "token":
            tokens_of(key, value)
        else:
            raise RequestError(f"{key}: the column is typed {kind}, and a filter takes one of token or float")


def _is_loaded(config: Any, suffix: str, column: str) -> bool:
    if column in ((config["unload_col"] or {}).get(suffix) or []):
        return False
    if config["load_col"] is None:
        return True
    loaded = config["load_col"].get(suffix) or []
    return loaded == "*" or column in loaded


def intervals_of(key: str, value: Any) -> list[Interval]:
    """What a filter of a column of numbers keeps.

    Args:
        key: The setting, for messages.
        value: Value of the setting.

    Raises:
        RequestError: The value is no interval; the message shows the form.
    """
    # "[3,5]" is a list to YAML, which knows no other intervals.
    text = f"[{value[0]},{value[1]}]" if isinstance(value, list) and len(value) == 2 else value
    try:
        return parse_intervals(text)
    except ValueError as error:
        raise RequestError(f"{key}={value!r}: {error}") from error


def tokens_of(key: str, value: Any) -> list[str]:
    """What a filter of a column of names keeps.

    Args:
        key: The setting, for messages.
        value: Value of the setting; texts are those of the file.

    Raises:
        RequestError: The value is no list of names.
    """
    if not isinstance(value, list) or not value:
        raise RequestError(f"{key}={value!r}: the column holds names, so give a list of them, such as [SE,NO]")
    for token in value:
        if isinstance(token, bool | float) or not isinstance(token, str | int):
            raise RequestError(f"{key}: {token!r} is no text; write it in quotation marks, as the file has it")
    return [str(token) for token in value]
