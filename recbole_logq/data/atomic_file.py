"""Reading atomic files with a parser in C, wherever it reads what RecBole's parser reads.

RecBole 1.2.1 has pandas' parser in Python hard-coded, which is far slower and keeps a Python string per token. The
one in C differs where a file holds quotation marks or more fields than its header names, and in the last digit of
numbers beyond 2^53; such files, and those it refuses, go to the parser in Python as before.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

LARGEST_EXACT = 2.0**53
_BLOCK = 1 << 22
# What pandas takes for a missing number.
NO_NUMBER = ["", "NA", "N/A", "n/a", "NaN", "nan", "-NaN", "-nan", "NULL", "null", "None", "<NA>", "#NA", "#N/A"]
NO_NUMBER += ["#N/A N/A", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"]
# "high" is how the parser in Python converts numbers; in pieces the categories of each would be sorted and merged.
_IN_C = {"engine": "c", "float_precision": "high", "low_memory": False}


def read_table(path: str, **options: Any) -> pd.DataFrame:
    """What ``pandas.read_csv(path, **options)`` reads with RecBole's options, token columns as categories.

    Args:
        path: The file.
        options: ``delimiter``, ``usecols``, ``dtype`` by header entry, ``encoding`` and ``engine``, as RecBole gives
            them.

    Returns:
        The named columns. A column of single tokens is categorical where the parser in C read it, else of strings.

    Raises:
        ValueError: As pandas' parser in Python says it.
    """
    if _is_plain(path, options["encoding"], options["delimiter"]):
        kinds = {name: "category" if name.endswith(":token") else kind for name, kind in options["dtype"].items()}
        try:
            table = pd.read_csv(path, **{**options, "dtype": kinds, **_IN_C})
        except ValueError:  # the parser in Python may read it, or says what is wrong in the words known
            pass
        else:
            numbers = table.select_dtypes("number")
            if not ((numbers.max() > LARGEST_EXACT) | (numbers.min() < -LARGEST_EXACT)).any():
                return table
    return pd.read_csv(path, **options)


def missing_values(columns: list[str]) -> dict[str, Any]:
    """Options of ``pandas.read_csv`` under which a name is a name: NA, None or null in a column of text is text.

    Args:
        columns: Header entries, ``name:type``.

    Returns:
        Options that leave nothing but an empty field missing in a column of text; in one of numbers, what pandas takes
        for missing.
    """
    missing = {column: NO_NUMBER if column.endswith(":float") else [""] for column in columns}
    return {"keep_default_na": False, "na_values": missing}


def no_number(path: str, **options: Any) -> str | None:
    """Where a column of numbers holds something else, in words; None if that is not what is wrong.

    Args:
        path: The file.
        options: As for :func:`read_table`, which has failed with them.
    """
    numbers = [name for name, kind in options["dtype"].items() if kind is np.float64]
    try:
        table = pd.read_csv(path, **{**options, "dtype": str})
    except ValueError:
        return None
    for name in numbers:
        texts = table[name]
        wrong = texts[pd.to_numeric(texts, errors="coerce").isna() & texts.notna()]
        if len(wrong):
            return f"row {wrong.index[0] + 1} has {wrong.iloc[0]!r} in {name}, which is no number"
    return None


def uneven_lines(path: str, encoding: str | None, delimiter: str) -> tuple[int, str] | None:
    """Lines that have not as many fields as the header: how many, and the first of them in words.

    Args:
        path: The file; where it has a quotation mark, which may hold separators, nothing is said of it.
        encoding: Of the file; UTF-8 for None.
        delimiter: Between fields.

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
        encoding: Of the file; UTF-8 for None.
        delimiter: Between fields.
    """
    if not any(b'"' in block for block in _blocks(path)):
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
    """Fields of each line, 0 of an empty one, from the bytes; None where quotation marks or lone returns need a closer look.

    Args:
        path: The file.
        delimiter: One byte.
    """
    counts, rest = [], b""
    for block in _blocks(path):
        content = rest + block
        cut = content.rfind(b"\n") + 1
        rest = content[cut:]
        counts.append(_fields(content[:cut], delimiter))
    counts.append(_fields(rest + b"\n", delimiter) if rest else np.zeros(0, np.int64))
    return None if any(count is None for count in counts) else np.concatenate(counts)


def _fields(content: bytes, delimiter: str) -> np.ndarray | None:
    if b'"' in content or content.count(b"\r") != content.count(b"\r\n"):
        return None
    text = np.frombuffer(content.replace(b"\r\n", b"\n"), np.uint8)
    ends = np.flatnonzero(text == ord("\n"))
    before = np.searchsorted(np.flatnonzero(text == ord(delimiter)), ends)
    empty = np.diff(ends, prepend=-1) == 1
    return np.where(empty, 0, np.diff(before, prepend=0) + 1)


def count_rows(path: str, encoding: str | None, expected: int) -> int:
    """Lines of a file but the header and empty ones, counted one by one only where the file's bytes do not settle it.

    Args:
        path: The file.
        encoding: Of the file; UTF-8 for None.
        expected: How many there should be.
    """
    ends, last = 0, b"\n"
    for block in _blocks(path):
        ends, last = ends + block.count(b"\n"), block[-1:]
    if ends + (last != b"\n") - 1 == expected:
        return expected
    with open(path, encoding=encoding or "utf-8") as lines:
        return sum(line != "\n" for line in lines) - 1


def _is_plain(path: str, encoding: str | None, delimiter: str) -> bool:
    """Whether no field is quoted and the first rows, by which pandas judges, have no more fields than the header."""
    with open(path, encoding=encoding or "utf-8") as lines:
        head, *first = islice((line for line in lines if line.strip()), 3)
    if any(line.count(delimiter) > head.count(delimiter) for line in first):
        return False
    return not any(b'"' in block or b"\0" in block for block in _blocks(path))


def _blocks(path: str) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            yield block
