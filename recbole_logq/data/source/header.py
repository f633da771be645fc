"""The first line of an atomic file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError

TYPES = ("token", "token_seq", "float", "float_seq")


def interaction_files(config: Any) -> list[Path]:
    """Files that interactions are read from: one, or those of a ready-made split; they may not be there."""
    folder, name = Path(config["data_path"]), config["dataset"]
    parts = config["benchmark_filename"]
    return [folder / f"{name}.{part}.inter" for part in parts] if parts else [folder / f"{name}.inter"]


def declared(file: Path, config: Any) -> dict[str, str]:
    """Types of a file's columns by their names, in the order of the file.

    Args:
        file: An atomic file.
        config: Settings, of which ``encoding`` and ``field_separator`` are read.

    Raises:
        RequestError: The first line does not declare columns as ``name:type``, or is not text in that encoding.
    """
    separator = config["field_separator"]
    try:
        with file.open(encoding=config["encoding"] or "utf-8") as lines:
            line = lines.readline().rstrip("\r\n")
    except UnicodeError as error:
        raise RequestError(not_text(file, config)) from error
    except LookupError as error:
        raise RequestError(f"encoding={config['encoding']}: no such encoding") from error
    if line.startswith("\ufeff"):
        raise RequestError(f"{file} starts with a byte order mark: set --encoding=utf-8-sig, or save it without one")
    columns = [column.split(":") for column in line.split(separator)]
    if not all(len(column) == 2 and all(column) for column in columns):
        raise RequestError(
            f"{file}: the first line must declare the columns as name:type, separated by {separator!r}, such as "
            f"user_id:token; found {line[:60]!r}"
        )
    for name, kind in columns:
        if kind not in TYPES:
            raise RequestError(f"{file}: the first line types {name} as {kind!r}; it takes {', '.join(TYPES)}")
    names = [name for name, _ in columns]
    if twice := [name for name in names if names.count(name) > 1]:
        raise RequestError(f"{file}: the first line has the column {twice[0]} twice; give one of them another name")
    return {column[0]: column[1] for column in columns}


def not_text(source: Path | str, config: Any) -> str:
    """What is said of bytes that are no text."""
    return f"{source} is not text in {config['encoding'] or 'utf-8'}: set --encoding=NAME"
