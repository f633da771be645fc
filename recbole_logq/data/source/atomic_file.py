"""Reading atomic files with a parser in C, wherever it reads what RecBole's parser reads.

RecBole 1.2.1 has pandas' parser in Python hard-coded, which is far slower and keeps a Python string per token. The
one in C differs where a file holds quotation marks or more fields than its header names, and in the last digit of
numbers beyond 2^53; such files, and those it refuses, go to the parser in Python as before.
"""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pandas as pd

from recbole_logq.data.source.lines import blocks

LARGEST_EXACT = 2.0**53
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
        ValueError: The file cannot be parsed; the message is that of pandas' Python parser.
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
        options: Options with which :func:`read_table` has failed.
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


def _is_plain(path: str, encoding: str | None, delimiter: str) -> bool:
    """Whether no field is quoted and the first rows, by which pandas judges, have no more fields than the header."""
    with open(path, encoding=encoding or "utf-8") as lines:
        head, *first = islice((line for line in lines if line.strip()), 3)
    if any(line.count(delimiter) > head.count(delimiter) for line in first):
        return False
    return not any(b'"' in block or b"\0" in block for block in blocks(path))
