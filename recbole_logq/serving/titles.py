"""Titles of items, from the dataset's ``.item`` file."""

from __future__ import annotations

from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_logq.data.source.atomic_text import AtomicText
from recbole_logq.errors import RequestError

_TEXT = {"token", "token_seq"}


def titles_of(config: Any, tokens: list[str], field: str | None = None) -> list[str | None] | None:
    """The title of each item; None where the dataset has no titles.

    Read from the file itself: which columns the model loads must not change for it.

    Args:
        config: Settings of the model, which say where the dataset lies.
        tokens: Original item tokens.
        field: The column; by default the first text column with ``title`` or else ``name`` in its name.

    Raises:
        RequestError: The column that was asked for is not there, or cannot be read; one that was not asked for and
            cannot be read is left out with a warning.
    """
    file = Path(config["data_path"]) / f"{config['dataset']}.item"
    item_field, is_required = config["ITEM_ID_FIELD"], field is not None
    if not file.is_file():
        if field is not None:
            raise RequestError(f"item_title_field={field}: {config['dataset']} has no .item file")
        return None
    try:
        lines = AtomicText(file, config)
        names = list(lines.types)
        text = [name for name, kind in lines.types.items() if kind in _TEXT and name != item_field]
        if field is None:
            field = next((name for word in ("title", "name") for name in text if word in name.lower()), None)
        elif field not in names:
            raise RequestError(f"item_title_field={field}: {file.name} has the columns {', '.join(names)}")
        if field is None or item_field not in names:
            return None
        key, value = names.index(item_field), names.index(field)
        known = {row[key]: row[value] for row in lines.rows()}
    except RequestError as error:
        if is_required:
            raise
        getLogger().warning("exported without titles: %s", error)
        return None
    return [known.get(token) or None for token in tokens]
