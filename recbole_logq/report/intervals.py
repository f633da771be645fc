"""The mean over seeds and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from recbole_logq.evaluation.statistics import interval


class Interval(NamedTuple):
    """A mean over seeds; ``low`` and ``high`` are None where one seed, or none, says nothing of the spread."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


def over_seeds(values: Iterable[float | None]) -> Interval:
    """Mean and 95 % t interval; values that are missing or not finite do not count."""
    found = [float(value) for value in values if value is not None and math.isfinite(value)]
    if not found:
        return Interval(None, None, None, 0)
    mean, half = interval(found)
    if half is None:
        return Interval(mean, None, None, len(found))
    return Interval(mean, mean - half, mean + half, len(found))
