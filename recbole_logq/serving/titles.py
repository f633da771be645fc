"""Titles of items, from the dataset's ``.item`` file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError

_TEXT = {"token", "token_seq"}


def titles_of(config: Any, tokens: list[str], field: str | None = None) -> list[str | None] | None:
    """The title of each item; None where the dataset has no titles.

    Read from the file itself: which columns the model loads must not change for it.

    Args:
        config: Of the model; reads where the dataset lies.
        tokens: Original item tokens.
        field: The column; by default the first text column with ``title`` or else ``name`` in its name.

    Raises:
        RequestError: The column that was asked for is not there.
    """
    file = Path(config["data_path"]) / f"{config['dataset']}.item"
    separator, item_field = config["field_separator"], config["ITEM_ID_FIELD"]
    if not file.is_file():
        if field is not None:
            raise RequestError(f"item_title_field={field}: {config['dataset']} has no .item file")
        return None
    with file.open(encoding=config["encoding"] or "utf-8", newline="") as lines:
        rows = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
        columns = [column.split(":") for column in next(rows)]
        names = [column[0] for column in columns]
        text = [column[0] for column in columns if column[-1] in _TEXT and column[0] != item_field]
        if field is None:
            field = next((name for word in ("title", "name") for name in text if word in name.lower()), None)
        elif field not in names:
            raise RequestError(f"item_title_field={field}: {file.name} has the columns {', '.join(names)}")
        if field is None or item_field not in names:
            return None
        key, value = names.index(item_field), names.index(field)
        known = {row[key]: row[value] for row in rows if len(row) > max(key, value)}
    return [known.get(token) or None for token in tokens]
