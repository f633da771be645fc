"""JSON Lines: an object a line, its numbers with the digits that the file has."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from recbole_logq.data.source.tables.content import Content
from recbole_logq.errors import RequestError

if TYPE_CHECKING:
    from recbole_logq.data.source.tables.content import BadRow

_SAMPLE = 1000
_LONGEST = 40  # digits of a number that is written out


class JsonLines:
    """Objects of plain values and lists.

    Args:
        content: the file.
        bad_row: callback for lines that are no objects.

    Raises:
        RequestError: The first line is none.
    """

    def __init__(self, content: Content, bad_row: BadRow) -> None:
        self.content, self.bad_row, self.path = content, bad_row, content.path
        self.names: list[str] = []
        self.notes: list[str] = []
        with content.text() as lines:
            for number, (line, record) in enumerate(_records(lines)):
                if not number and record is None:
                    raise RequestError(
                        f"{self.path}, line {line}: this JSON has no object a line: write it as JSON Lines"
                    )
                if number == _SAMPLE:
                    break
                self._see(record or {})
        if not self.names:
            raise RequestError(f"{self.path} is empty")

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`; cells are text or lists of text."""
        rows: list[tuple[int, dict[str, Any]]] = []
        with self.content.text() as lines:
            for line, record in _records(lines):
                if record is None:
                    self.bad_row(line, "lines that are no JSON objects")
                    continue
                self._see(record)
                rows.append((line, record))
                if len(rows) == n_rows:
                    yield {name: self._column(name, rows) for name in columns}
                    rows = []
        if rows:
            yield {name: self._column(name, rows) for name in columns}

    def _see(self, record: dict[str, Any]) -> None:
        if not record.keys() <= set(self.names):
            self.names += [name for name in record if name not in self.names]

    def _column(self, name: str, rows: list[tuple[int, dict[str, Any]]]) -> Any:
        import pyarrow as pa

        values = [record.get(name) for _, record in rows]
        lists = any(isinstance(value, list) for value in values)
        for (line, _), value in zip(rows, values, strict=True):
            parts = value if isinstance(value, list) else [value]
            if any(isinstance(part, dict | list) for part in parts):
                raise RequestError(f"{self.path}, line {line}: {name} holds more than values and lists of values")
            if lists and value is not None and not isinstance(value, list):
                raise RequestError(f"{self.path}, line {line}: {name} is a list elsewhere in the file, and none here")
        try:
            if lists:
                texts = [None if value is None else [_text(part) for part in value] for value in values]
                return pa.array(texts, pa.list_(pa.string()))
            return pa.array([_text(value) for value in values], pa.string())
        except UnicodeEncodeError as error:
            raise RequestError(f"{self.path}: {name} has {error.object[:40]!r}, which is half a character") from error


def is_json(line: str) -> bool:
    """Whether a line is JSON."""
    try:
        json.loads(line)
    except (ValueError, RecursionError):
        return False
    return True


class _Number(str):
    """A number with a point or an exponent, as it is written."""


def _records(lines: Any) -> Iterator[tuple[int, dict[str, Any] | None]]:
    for number, line in enumerate(lines, 1):
        if line.strip():
            try:
                record = json.loads(line, parse_int=str, parse_float=_Number, parse_constant=lambda name: None)
            except (ValueError, RecursionError):
                record = None
            yield number, record if isinstance(record, dict) else None


def _text(value: Any) -> str | None:
    if isinstance(value, _Number):  # 3.0 and 3e0 are the number 3
        number = Decimal(value)
        if abs(number.adjusted()) <= _LONGEST and number == number.to_integral_value():
            return f"{number.quantize(Decimal(1)):f}"
        return str(value)
    return value if value is None or isinstance(value, str) else json.dumps(value)
