"""Texts of visitors and of new items, as rows of a request have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.modules.text import TextHasher
from recbole_logq.nearest import nearest
from recbole_logq.serving.description import TextColumn

Texts = Mapping[str, Any]
"""Texts by column; None or no text where there is none."""


def columns_of_texts(
    rows: Sequence[Texts], names: Sequence[str], label: str, beside: Sequence[Any] | None = None
) -> list[list[str]]:
    """Rows to columns.

    Args:
        rows: Texts of each row.
        names: Columns that the model reads.
        label: Name of the texts in messages.
        beside: What else is known of each row; empty or None for nothing.

    Raises:
        RequestError: A row has another column, lacks one, or has no text in any and nothing else.
    """
    if isinstance(rows, Mapping) or not all(isinstance(row, Mapping) for row in rows):
        raise RequestError(f"{label}: one mapping of columns to texts a row, in a list")
    read = ", ".join(names)
    for place, row in enumerate(rows):
        if strange := sorted(map(str, row.keys() - set(names))):
            raise RequestError(f"{label}: the model reads {read}, and no {strange[0]}{nearest(strange[0], set(names))}")
        if lacking := [name for name in names if name not in row]:
            raise RequestError(f"{label}: {lacking[0]} is missing, give it a text, which may be empty")
        for name, text in row.items():
            if text is not None and not isinstance(text, str):
                raise RequestError(f"{label}: {name}={text!r} is no text")
        if not any(row.values()) and not (beside and beside[place]):
            raise RequestError(f"{label}: a row has no text in {read}, and nothing else is known of it")
    return [[row[name] or "" for row in rows] for name in names]


class UserTexts:
    """Texts of visitors as the encoder reads them.

    Args:
        columns: Columns that the model reads of users as texts.
    """

    def __init__(self, columns: Sequence[TextColumn]) -> None:
        self.names = [column.name for column in columns]
        self._hashers = [TextHasher(column.buckets, column.parts) for column in columns]

    def read(self, rows: Sequence[Texts], histories: Sequence[Any] | None = None) -> list[Tensor]:
        """Bags of the columns, int64 ``[rows, longest]`` each.

        Args:
            rows: Texts of each row, a value for every column.
            histories: What each had, if that is known.

        Raises:
            RequestError: The model reads no texts, or not these.
        """
        if not self.names:
            raise RequestError("text: the model reads no texts of users, leave it out")
        if histories is not None and len(histories) != len(rows):
            raise RequestError(f"texts: {len(rows)} for {len(histories)} rows, give one mapping a row")
        columns = columns_of_texts(rows, self.names, "text", histories)
        return [hasher(texts) for hasher, texts in zip(self._hashers, columns, strict=True)]
