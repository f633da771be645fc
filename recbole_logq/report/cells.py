"""A cell of a table, in a page, in Markdown or in CSV."""

from __future__ import annotations

import math
from typing import NamedTuple


class Cell(NamedTuple):
    """A text and what goes with it.

    Attributes:
        text: Text to show.
        note: Smaller text after it, such as an interval.
        key: Number that a sort compares; None for text.
        share: Length of a bar under the text, within [0, 1]; None for no bar.
    """

    text: str
    note: str = ""
    key: float | None = None
    share: float | None = None

    @property
    def sort_key(self) -> float | None:
        """The key, where it is a number to sort by."""
        return None if self.key is None or not math.isfinite(self.key) else float(self.key)


def number(value: float | None, signed: bool = False) -> str:
    """A value with the digits that its size deserves; '-' where there is none."""
    if value is None or not math.isfinite(value):
        return "-"
    digits = 4 if abs(value) < 10 else 1 if abs(value) < 10_000 else 0
    return f"{value:{'+' if signed else ''},.{digits}f}"
