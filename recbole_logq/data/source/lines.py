"""The lines of a text file, counted from its bytes wherever these settle it."""

from __future__ import annotations

import codecs
from collections.abc import Iterator

import numpy as np

_BLOCK = 1 << 22


def count_rows(path: str, encoding: str | None, expected: int) -> int:
    """Lines of a file but the header and empty ones, counted one by one only where the file's bytes do not settle it.

    Args:
        path: The file.
        encoding: Encoding of the file; UTF-8 for None.
        expected: Number of rows that there should be.
    """
    ends, last = 0, b"\n"
    for block in blocks(path):
        ends, last = ends + block.count(b"\n"), block[-1:]
    if ends + (last != b"\n") - 1 == expected:
        return expected
    with open(path, encoding=encoding or "utf-8") as lines:
        return sum(line != "\n" for line in lines) - 1


def uneven_lines(path: str, encoding: str | None, delimiter: str) -> tuple[int, str] | None:
    """Lines that have not as many fields as the header: how many, and the first of them in words.

    Args:
        path: The file; where it has a quotation mark, which may hold separators, nothing is said of it.
        encoding: Encoding of the file; UTF-8 for None.
        delimiter: Separator of fields.

    Returns:
        None where all lines are even.
    """
    numbers = _fields_in_c(path, delimiter) if len(delimiter.encode()) == 1 and _is_ascii_wide(encoding) else None
    if numbers is None:
        with open(path, encoding=encoding or "utf-8") as lines:
            texts = [line.rstrip("\r\n") for line in lines]
        if any('"' in text for text in texts):
            return None
        numbers = np.array([text.count(delimiter) + 1 if text else 0 for text in texts])
    uneven = (numbers[1:] != numbers[0]) & (numbers[1:] > 0)
    if not uneven.any():
        return None
    line = int(uneven.argmax()) + 1
    return int(uneven.sum()), f"line {line + 1} has {numbers[line]} of {numbers[0]} fields"


def quoted_lines(path: str, encoding: str | None, delimiter: str) -> int:
    """How many lines have a field that starts with a quotation mark, which a reader of atomic files takes off.

    Args:
        path: The file.
        encoding: Encoding of the file; UTF-8 for None.
        delimiter: Separator of fields.
    """
    if not any(b'"' in block for block in blocks(path)):
        return 0
    with open(path, encoding=encoding or "utf-8") as lines:
        return sum(line.startswith('"') or f'{delimiter}"' in line for line in lines)


def _is_ascii_wide(encoding: str | None) -> bool:
    """Whether a byte below 128 is the character of that number, and nothing else is, so that bytes can be counted."""
    try:
        return codecs.lookup(encoding or "utf-8").name in {"utf-8", "utf-8-sig", "ascii", "iso8859-1", "cp1252"}
    except LookupError:
        return False


def _fields_in_c(path: str, delimiter: str) -> np.ndarray | None:
    """Fields of each line, 0 of an empty one, from the bytes; None where quotation marks or lone returns hide some.

    Args:
        path: The file.
        delimiter: One byte.
    """
    counts, remainder = [], b""
    for block in blocks(path):
        content = remainder + block
        cut = content.rfind(b"\n") + 1
        remainder = content[cut:]
        counts.append(_fields(content[:cut], delimiter))
    if remainder:
        counts.append(_fields(remainder + b"\n", delimiter))
    known = [count for count in counts if count is not None]
    return np.concatenate(known) if len(known) == len(counts) else None


def _fields(content: bytes, delimiter: str) -> np.ndarray | None:
    if b'"' in content or content.count(b"\r") != content.count(b"\r\n"):
        return None
    text = np.frombuffer(content.replace(b"\r\n", b"\n"), np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    before = np.searchsorted(np.flatnonzero(text == ord(delimiter)), ends)
    empty = np.diff(ends, prepend=-1) == 1
    return np.where(empty, 0, np.diff(before, prepend=0) + 1)


def blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block
