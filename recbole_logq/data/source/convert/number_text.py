"""Cells as numbers, and numbers as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds
from pandas._libs.parsers import STR_NA_VALUES

from recbole_logq.data.source.tables.cell_text import plain
from recbole_logq.errors import RequestError


def floats(cells: Any) -> np.ndarray:
    """Float64 ``[rows]``, NaN where there is no number.

    Args:
        cells: An Arrow array of numbers, truth values or text.
    """
    cells = plain(cells)
    kind = cells.type
    if kinds.is_boolean(kind):
        cells = cells.cast(pa.int8())
    if kinds.is_boolean(kind) or kinds.is_integer(kind) or kinds.is_floating(kind):
        values = cells.cast(pa.float64(), safe=False)
    elif kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_decimal(kind):
        texts = pd.Series(cells.cast(pa.large_string()).to_pylist(), dtype=object)
        return pd.to_numeric(texts, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    else:
        return np.full(len(cells), np.nan)
    return np.array(values.fill_null(np.nan).to_numpy(zero_copy_only=False))


class Numbers:
    """A column that becomes numbers; one that holds none of them is refused, and gaps are counted.

    Args:
        label: column and file, for errors.
        flag: setting that keeps the column as text, for errors.
    """

    def __init__(self, label: str, flag: str) -> None:
        self.label, self.flag = label, flag
        self.n_numbers, self.n_others, self.example = 0, 0, ""

    def of(self, cells: Any) -> np.ndarray:
        """Float64 ``[rows]``, NaN where there is no finite number.

        Args:
            cells: An Arrow array.

        Raises:
            RequestError: There is something else in these cells, and there was no number in any so far.
        """
        values = floats(cells)
        values[~np.isfinite(values)] = np.nan
        self.n_numbers += int(np.isfinite(values).sum())
        if others := _other_than_numbers(plain(cells), values):
            self.n_others += len(others)
            self.example = self.example or others[0][:40]
        if self.n_others and not self.n_numbers:
            raise RequestError(
                f"{self.label} holds no numbers but {self.example!r}: set {self.flag}=token, or write 3.5"
            )
        return values

    @property
    def note(self) -> str | None:
        """Number of cells that hold something else, None for none."""
        return f"{self.n_others:,} hold no number but {self.example!r}" if self.n_others else None


def check_parts(rows: Sequence[str], label: str) -> None:
    """Refuse what is no number in a column of lists of numbers.

    Args:
        rows: text of each row, blanks between its parts.
        label: column and file, for the error.

    Raises:
        RequestError: A part is no number.
    """
    for row in rows:
        for part in row.split():
            try:
                float(part)
            except ValueError:
                raise RequestError(f"{label} holds {part[:40]!r}, which is no number: keep it as token_seq") from None


def _other_than_numbers(cells: Any, values: np.ndarray) -> list[str]:
    if kinds.is_floating(cells.type):
        return []
    places = np.flatnonzero(np.isnan(values) & np.asarray(cells.is_valid()))
    texts = map(str, cells.take(pa.array(places)).to_pylist())
    return [text for text in texts if text.strip() not in STR_NA_VALUES]


def text_of(value: float) -> str:
    """Whole numbers without ".0", others with the digits that give the same float64 back; nothing for NaN."""
    if value != value:
        return ""
    return str(int(value)) if value.is_integer() else repr(value)
