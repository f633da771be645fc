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


def over_seeds(values: Iterable[float | None], limits: tuple[float, float] = (-math.inf, math.inf)) -> Interval:
    """Mean and 95 % t interval.

    Args:
        values: A value for each seed; those that are missing or not finite do not count.
        limits: Smallest and largest possible value, at which the interval ends: the mean cannot lie beyond, so the
            interval holds it as often as before.
    """
    finite = [float(value) for value in values if value is not None and math.isfinite(value)]
    if not finite:
        return Interval(None, None, None, 0)
    mean, half = interval(finite)
    if half is None:
        return Interval(mean, None, None, len(finite))
    return Interval(mean, max(mean - half, limits[0]), min(mean + half, limits[1]), len(finite))
