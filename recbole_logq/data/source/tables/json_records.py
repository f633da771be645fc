"""Objects a line or in one array, JSON or Python's literals, their numbers with the digits that the file has."""

from __future__ import annotations

import ast
import json
import math
from collections.abc import Iterator, Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any, TextIO

from recbole_logq.data.source.tables.content import Content
from recbole_logq.errors import RequestError

if TYPE_CHECKING:
    from recbole_logq.data.source.tables.content import BadColumn, BadRow

_SAMPLE = 1000
_DIGITS = 40  # of a number that is written out
_BLOCK = 1 << 20
_LONGEST = 1 << 24
_BLANK = " \t\r\n"
_LITERALS = ("{'", "{u'", '{u"')


class JsonTable:
    """Objects of plain values and lists; what is nested deeper is refused where it is asked for.

    JSON Lines, or an array of objects over any number of lines. Lines of Python's literals (``{'user': u'a'}``), in
    which some data sets are published, are read as what they are: nothing of them runs.

    Args:
        content: the file.
        bad_row: callback for lines that are no objects.
        bad_column: callback for columns of other values, which are empty from there on; they are refused when None.

    Raises:
        RequestError: The file is empty, or its first line is not an object.
    """

    def __init__(self, content: Content, bad_row: BadRow, bad_column: BadColumn | None = None) -> None:
        self.content, self.bad_row, self.bad_column, self.path = content, bad_row, bad_column, content.name
        self.names: list[str] = []
        self.notes: list[str] = []
        with content.text() as text:
            for number, (line, record) in enumerate(self._records(text)):
                if not number and record is None:
                    raise RequestError(
                        f"{self.path}, line {line}: this JSON has no object a line, and is no array of objects: write "
                        "it as one of these"
                    )
                if number == _SAMPLE:
                    break
                self._see(record or {})
        if not self.names:
            raise RequestError(f"{self.path} is empty")

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`; cells are text or lists of text."""
        rows: list[tuple[int, dict[str, Any]]] = []
        with self.content.text() as text:
            for line, record in self._records(text):
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

    def _records(self, text: TextIO) -> Iterator[tuple[int, dict[str, Any] | None]]:
        first = self.content.head.lstrip(_BLANK + "\ufeff")
        if first[:1] == "[" and not _is_list_a_line(first):
            yield from _of_array(text, self.path)
            return
        for number, line in enumerate(text, 1):
            if line.strip():
                yield number, _record(line)

    def _see(self, record: dict[str, Any]) -> None:
        if not record.keys() <= set(self.names):
            self.names += [name for name in record if name not in self.names]

    def _column(self, name: str, rows: list[tuple[int, dict[str, Any]]]) -> Any:
        import pyarrow as pa

        try:
            return self._values(name, rows)
        except RequestError as error:
            if self.bad_column is None:
                raise
            self.bad_column(name, error)
            return pa.nulls(len(rows), pa.string())

    def _values(self, name: str, rows: list[tuple[int, dict[str, Any]]]) -> Any:
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


def is_record(line: str) -> bool:
    """Whether a line is JSON, or a dictionary as Python writes it."""
    return _record(line) is not None or _is_json(line)


class _Number(str):
    """A number with a point or an exponent, as it is written."""


_DECODER = json.JSONDecoder(parse_int=str, parse_float=_Number, parse_constant=lambda name: None)


def _is_json(line: str) -> bool:
    try:
        _DECODER.decode(line)
    except (ValueError, RecursionError):
        return False
    return True


def _is_list_a_line(head: str) -> bool:
    """Whether the first line is a whole list without an object, and so no beginning of an array of objects."""
    line = head.splitlines()[0]
    return _is_json(line) and "{" not in line and line.strip() != "["


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = _DECODER.decode(line)
    except (ValueError, RecursionError):
        record = _literal(line) if line.lstrip(_BLANK).startswith(_LITERALS) else None
    return record if isinstance(record, dict) else None


def _literal(line: str) -> Any:
    """A dictionary of literals, None where the line is anything else: a name or a call in it is never evaluated."""
    try:
        return _as_json(ast.literal_eval(line.strip()))
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _as_json(value: Any) -> Any:
    """Literals as JSON would give them."""
    if isinstance(value, dict):
        return {str(name): _as_json(part) for name, part in value.items()}
    if isinstance(value, list | tuple | set):
        return [_as_json(part) for part in value]
    if isinstance(value, float):
        return _Number(repr(value)) if math.isfinite(value) else None
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _of_array(text: TextIO, path: str) -> Iterator[tuple[int, dict[str, Any] | None]]:
    """Objects of one array, read a block at a time, with the line on which each begins."""
    buffer, place, line, opened, after_value = "", 0, 1, False, False
    while block := text.read(_BLOCK):
        buffer, place = buffer[place:] + block, 0
        while True:
            start = _skip(buffer, place)
            line += buffer.count("\n", place, start)
            place = start
            if place == len(buffer):
                break
            sign = buffer[place]
            if sign == "\ufeff" or (not opened and sign == "[") or (opened and after_value and sign == ","):
                opened, after_value, place = opened or sign == "[", False, place + 1
            elif opened and sign == "]":
                if (text.read(_BLOCK) + buffer[place + 1 :]).strip(_BLANK):
                    raise RequestError(f"{path}, line {line}: something stands behind the array")
                return
            elif after_value:
                raise RequestError(f"{path}, line {line}: this is no JSON: a comma is missing")
            else:
                try:
                    value, end = _DECODER.raw_decode(buffer, place)
                except (ValueError, RecursionError):
                    if len(buffer) - place > _LONGEST:
                        raise RequestError(f"{path}, line {line}: this is no JSON") from None
                    break  # it may go on in the next block
                if end == len(buffer) and not isinstance(value, dict):
                    break  # a number may go on, too
                yield line, value if isinstance(value, dict) else None
                line += buffer.count("\n", place, end)
                place, after_value = end, True
    if buffer[place:].strip(_BLANK) or opened:
        raise RequestError(f"{path}, line {line}: this is no JSON, or the array does not end")


def _skip(buffer: str, place: int) -> int:
    while place < len(buffer) and buffer[place] in _BLANK:
        place += 1
    return place


def _text(value: Any) -> str | None:
    if isinstance(value, _Number):  # 3.0 and 3e0 are the number 3
        number = Decimal(value)
        if abs(number.adjusted()) <= _DIGITS and number == number.to_integral_value():
            return f"{number.quantize(Decimal(1)):f}"
        return str(value)
    return value if value is None or isinstance(value, str) else json.dumps(value)
