"""Whether a Parquet file is laid out as `export` does it, before Arrow reads it.

A few bytes of Parquet can stand for gigabytes: compressed, or said once and meant a million times. And parts of
pyarrow end the process where a footer contradicts itself. So what tells sizes is read here first: the footer and the
head of every page, which are structures of Thrift's compact protocol. Files are written plainly, so that what Arrow
takes in memory is about what the file has in bytes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, BinaryIO

MAGIC = b"PAR1"
LARGEST_FOOTER = 1 << 24
_HEAD = 1 << 12
_ELEMENTS = 8
"""Most elements of a schema, with its root and the levels of a list."""
_DEPTH = 16

Struct = dict[int, Any]


def check_layout(file: Path) -> int:
    """Number of rows.

    Raises:
        ValueError: The file is of another kind, or its sizes contradict each other.
    """
    with file.open("rb") as opened:
        size = opened.seek(0, 2)
        opened.seek(max(size - 8, 0))
        end = opened.read(8)
        length = int.from_bytes(end[:4], "little")
        opened.seek(0)
        if opened.read(4) != MAGIC or end[4:] != MAGIC or not 0 < length <= min(size - 12, LARGEST_FOOTER):
            raise ValueError("no Parquet file")
        opened.seek(size - 8 - length)
        try:
            footer = _Compact(opened.read(length)).struct()
            return _check(opened, footer, size - 8 - length)
        except (LookupError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError("a structure that is none of Parquet") from error


def _check(opened: BinaryIO, footer: Struct, end: int) -> int:
    if len(footer[2]) > _ELEMENTS or 5 in footer:  # a schema within the schema
        raise ValueError("another schema")
    for group in footer[4]:
        for column in group[1]:
            if 1 in column:
                raise ValueError("columns in another file")
            _check_column(opened, column[3], end)
    rows = sum(group[3] for group in footer[4])
    if rows != footer[3] or any(not 0 <= group[3] <= end for group in footer[4]):
        raise ValueError("rows that do not add up")
    return rows


def _check_column(opened: BinaryIO, column: Struct, end: int) -> None:
    if column[4] != 0 or column[6] != column[7] or 11 in column:
        raise ValueError("compression or a dictionary")
    place, until, values = column[9], column[9] + column[7], 0
    if not 4 <= place <= until <= end:
        raise ValueError("a column outside of the file")
    while place < until:
        opened.seek(place)
        head = _Compact(opened.read(_HEAD))
        page = head.struct()
        if page[1] != 0 or page[2] != page[3] or page[3] < 0 or page[5][2] != 0 or page[5][1] < 0:
            raise ValueError("a page that is not plain")
        place += head.place + page[3]
        values += page[5][1]
    if place != until or values != column[5] or values > end:
        raise ValueError("pages that do not add up")


class _Compact:
    """Thrift's compact protocol: a structure as its fields by number, lists as lists."""

    def __init__(self, content: bytes) -> None:
        self._content, self.place = content, 0

    def _byte(self) -> int:
        self.place += 1
        return self._content[self.place - 1]

    def _varint(self) -> int:
        number = 0
        for shift in range(0, 70, 7):
            byte = self._byte()
            number |= (byte & 0x7F) << shift
            if byte < 0x80:
                return number
        raise ValueError("a number of more than 64 bits")

    def _number(self) -> int:
        coded = self._varint()
        return (coded >> 1) ^ -(coded & 1)

    def _bytes(self, length: int) -> bytes:
        content = self._content[self.place : self.place + length]
        if len(content) < length:
            raise ValueError("the end in the middle")
        self.place += length
        return content

    def struct(self, depth: int = 0) -> Struct:
        """The structure that begins here."""
        if depth > _DEPTH:
            raise ValueError("too deep")
        fields: Struct = {}
        number = 0
        while head := self._byte():
            number = number + (head >> 4) if head >> 4 else self._number()
            if number in fields:
                raise ValueError("a field twice")
            kind = head & 15
            fields[number] = kind == 1 if kind in (1, 2) else self._value(kind, depth)
        return fields

    def _value(self, kind: int, depth: int) -> Any:
        if kind in (1, 2, 3):
            return self._byte()
        if kind in (4, 5, 6):
            return self._number()
        if kind == 7:
            return self._bytes(8)
        if kind == 8:
            return self._bytes(self._varint())
        if kind in (9, 10):
            head = self._byte()
            length = self._varint() if head >> 4 == 15 else head >> 4
            if length > len(self._content) - self.place:
                raise ValueError("the end in the middle")
            return [self._value(head & 15, depth + 1) for _ in range(length)]
        if kind == 12:
            return self.struct(depth + 1)
        raise ValueError("a type that Parquet does not have")
