"""The mean over seeds and how far it can be trusted."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """A mean over seeds; ``low`` and ``high`` are None where one seed, or none, says nothing of the spread."""

    mean: float | None
    low: float | None
    high: float | None
    n: int


def over_seeds(values: Iterable[float | None]) -> Interval:
    """Mean and 95 % t interval; values that are missing or not finite do not count."""
    found = [float(value) for value in values if value is not None and math.isfinite(value)]
    n = len(found)
    if not n:
        return Interval(None, None, None, 0)
    mean = math.fsum(found) / n
    if n == 1:
        return Interval(mean, None, None, 1)
    from scipy.stats import t

    error = math.sqrt(math.fsum((value - mean) ** 2 for value in found) / (n - 1) / n)
    half = float(t.ppf((1 + CONFIDENCE) / 2, n - 1)) * error
    return Interval(mean, mean - half, mean + half, n)
