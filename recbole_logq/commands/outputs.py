"""Where a command may write: a new file, or the place of an earlier output of its kind; never of anything else.

Checked before any work. Without it a slip of the pen, `--output=data/x/x.inter`, costs a dataset.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.files import remove_left_behind

Keys = Sequence[frozenset[str]]
RESULT: Keys = (frozenset({"test_result", "fingerprint", "protocol"}),)
AUDIT: Keys = (frozenset({"dataset", "filters"}),)
LAB: Keys = (
    frozenset({"subject", "estimators"}),
    frozenset({"subject", "most_certain"}),
    frozenset({"seed", "folding"}),
    frozenset({"subject", "at", "advice"}),
)
ADVICE: Keys = (frozenset({"advice", "left_out"}),)
RECOMMENDATIONS = ["user", "rank", "item", "score"]
_PAGE = "--line: #8886"
"""Stands in the style of every page that this package writes."""


def check_json(flag: str, target: Any, keys: Keys) -> None:
    """Refuse a place for a JSON file.

    Args:
        flag: Name of the option.
        target: Its value; None for none.
        keys: What an earlier output of the command has.

    Raises:
        RequestError: The file cannot be written, is named like something else, or something else is there.
    """
    check_output(flag, target, (".json",), lambda path: _is_json(path, keys))


def check_page(flag: str, target: Any) -> None:
    """The same for a page."""
    check_output(flag, target, (".html", ".htm"), _is_page)


def check_table(flag: str, target: Any) -> None:
    """The same for recommendations."""
    check_output(flag, target, (".csv", ".parquet"), _is_table)


def check_output(flag: str, target: Any, suffixes: Sequence[str], is_ours: Callable[[Path], bool]) -> None:
    """Refuse a place that cannot be written, or where something is that is no earlier output.

    Args:
        flag: Name of the option.
        target: Its value; None for none.
        suffixes: Suffixes that the file may have.
        is_ours: Whether a file is an earlier output.

    Raises:
        RequestError: The command may not write there; the message says why.
    """
    if target is None:
        return
    path = Path(str(target)).absolute()
    if not path.parent.is_dir() or not os.access(path.parent, os.W_OK) or path.is_dir():
        raise RequestError(f"--{flag}={target}: cannot write there, give a file in an existing folder")
    if path.suffix.lower() not in suffixes:
        raise RequestError(f"--{flag}={target}: a file named {' or '.join(suffixes)}")
    if path.is_symlink() and not path.exists():
        raise RequestError(f"--{flag}={target} is a link to nothing: give another file")
    if path.exists() and not (path.is_file() and (path.stat().st_size == 0 or _looks_like(path, is_ours))):
        raise RequestError(f"--{flag}={target} is there and no earlier output of this command: give another file")
    remove_left_behind(path.parent)


def _looks_like(path: Path, is_ours: Callable[[Path], bool]) -> bool:
    try:
        return is_ours(path)
    except Exception:  # readers of files that are something else fail anywhere
        return False


def _is_json(path: Path, keys: Keys) -> bool:
    content = json.loads(path.read_text(encoding="utf-8"))
    return content == {} or any(required <= content.keys() for required in keys)


def _is_page(path: Path) -> bool:
    with path.open(encoding="utf-8") as file:
        head = file.read(2000)
    return head.startswith("<!doctype html>") and _PAGE in head


def _is_table(path: Path) -> bool:
    import pyarrow.csv
    import pyarrow.parquet

    if path.suffix.lower() == ".parquet":
        names = list(pyarrow.parquet.read_schema(path).names)
    else:
        with pyarrow.csv.open_csv(path) as reader:
            names = list(reader.schema.names)
    return names in (RECOMMENDATIONS, [*RECOMMENDATIONS, "title"])
