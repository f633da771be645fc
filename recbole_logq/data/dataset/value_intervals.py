"""Intervals of numbers as RecBole writes them: ``[3,5)``, and several joined by a semicolon."""

from __future__ import annotations

import math
import re
from typing import Any, NamedTuple

import numpy as np

from recbole_logq.numerals import as_number

FORM = 'an interval such as "[5,inf)" ([ and ] take the end in, ( and ) do not; several are joined by ;)'


class Interval(NamedTuple):
    """Numbers from ``low`` to ``high``, either of which belongs to it or not."""

    low: float
    high: float
    with_low: bool
    with_high: bool

    def holds(self, values: np.ndarray) -> np.ndarray:
        """Which values lie in it; a missing one does not."""
        above = values >= self.low if self.with_low else values > self.low
        return above & (values <= self.high if self.with_high else values < self.high)


def parse_intervals(text: Any) -> list[Interval]:
    """Read a text of intervals.

    Raises:
        ValueError: The text is no interval; the message shows the form.
    """
    intervals = []
    for part in str(text).split(";"):
        ends = re.fullmatch(r"\s*([\[(])([^,]+),([^,]+)([\])])\s*", part)
        low, high = map(_end, ends.group(2, 3)) if ends else (math.nan, math.nan)
        if ends is None or not low <= high:
            raise ValueError(f"expected {FORM}")
        intervals.append(Interval(low, high, ends[1] == "[", ends[4] == "]"))
    return intervals


def _end(text: str) -> float:
    if text.strip() in ("inf", "+inf", "-inf"):
        return float(text)
    number = as_number(text)
    return math.nan if isinstance(number, str) else float(number)


def within(values: Any, intervals: list[Interval]) -> np.ndarray:
    """Which values lie in one of the intervals; bool ``[values]``."""
    numbers = np.asarray(values, dtype=np.float64)
    return np.logical_or.reduce([interval.holds(numbers) for interval in intervals])


def no_bound(interval: Any) -> bool:
    """Whether an interval of numbers of interactions keeps everybody, those without any included."""
    return interval is None or bool(within([0, 1, 2.0**53], parse_intervals(interval)).all())


def admits_none(interval: Any) -> bool:
    """Whether an interval of numbers of interactions keeps those without any."""
    return interval is None or bool(within([0], parse_intervals(interval)).all())
