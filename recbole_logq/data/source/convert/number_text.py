"""Cells as numbers, and numbers as text."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds

from recbole_logq.data.source.tables.cell_text import plain


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


def text_of(value: float) -> str:
    """Whole numbers without ".0", others with the digits that give the same float64 back; nothing for NaN."""
    if value != value:
        return ""
    return str(int(value)) if value.is_integer() else repr(value)
