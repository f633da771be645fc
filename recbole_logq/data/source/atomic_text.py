"""Columns of an atomic file as text, for what is read beside RecBole: titles, and items that came after training."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from recbole_logq.data.source.header import declared, not_text
from recbole_logq.errors import RequestError


class AtomicText:
    """An atomic file, read line by line, so that a quotation mark that nothing ends is text and swallows no lines.

    Args:
        file: The file.
        config: Settings, of which ``encoding`` and ``field_separator`` (one character or several) are read.

    Raises:
        RequestError: The first line declares no columns, or is not text in that encoding.

    Attributes:
        types: types of the columns by their names, in order.
    """

    def __init__(self, file: Path, config: Mapping[str, Any]) -> None:
        self.file, self.separator = file, config["field_separator"]
        encoding = config["encoding"] or "utf-8"
        # With or without a byte order mark, which is no part of a name.
        self.encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
        self.types = declared(file, {"encoding": self.encoding, "field_separator": self.separator})

    def rows(self) -> Iterator[list[str]]:
        """Lines but the first, as many fields each as there are columns.

        Raises:
            RequestError: A line has another number of them, or is not text.
        """
        try:
            with self.file.open(encoding=self.encoding) as lines:
                next(lines, None)
                for number, line in enumerate(lines, 2):
                    if line.strip():
                        yield self._fields(line.rstrip("\n"), number)
        except UnicodeError as error:
            raise RequestError(not_text(self.file, {"encoding": self.encoding})) from error

    def _fields(self, line: str, number: int) -> list[str]:
        fields = line.split(self.separator)
        if '"' in line and len(self.separator) == 1:  # with several characters, marks are text to RecBole as well
            with suppress(csv.Error):
                quoted = next(csv.reader([line], delimiter=self.separator, strict=True))
                fields = quoted if len(quoted) == len(self.types) else fields
        if len(fields) != len(self.types):
            raise RequestError(
                f"{self.file}, line {number}: {len(fields)} fields, and there are {len(self.types)} columns"
            )
        return fields
