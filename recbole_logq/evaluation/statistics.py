"""What a difference between models is worth: intervals and paired tests over users and over seeds.

Two things vary when an experiment is made again: which users are tested (they stand for others), and the seed of the
training. A test over one of them takes the other as given.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

Values = NDArray[np.float64]

LEVEL = 0.95
ALPHA = 0.05
MIN_SEEDS = 3
"""Fewer say nothing about their spread: Student's t for two values is 12.7 standard errors wide."""
USERS_ONLY = f"over users only: fewer than {MIN_SEEDS} seeds"


class Interval(NamedTuple):
    """A mean and, on either side of it, the half-width of its interval; None where one value shows no spread."""

    mean: float
    half_width: float | None


class Paired(NamedTuple):
    """Two models on the same users or seeds.

    Attributes:
        difference: Mean of the first less mean of the second.
        half_width: Half the width of its 95 % interval, by Student's t.
        p_value: Two-sided p-value of the paired t-test.
        error: Standard error of the difference.
        pairs: Number of pairs.
    """

    difference: float
    half_width: float
    p_value: float
    error: float
    pairs: int


class Comparison(NamedTuple):
    """A model against the reference; p-values are adjusted for the number of models compared (:func:`holm`).

    Attributes:
        difference: Mean of the model less mean of the reference.
        half_width: Half the width of its 95 % interval, over users and seeds together, for this pair alone; over users
            where seeds are too few.
        p_users: p-value of the paired t-test over users.
        p_seeds: p-value over seeds; None where there are fewer than 3.
        p_value: p-value over users and seeds together, never less than the two alone; ``p_users`` where seeds are too
            few.
        verdict: ``better``, ``worse`` or ``no difference shown`` by ``p_value`` < 0.05; it says so where it stands on
            users only.
    """

    difference: float
    half_width: float
    p_users: float
    p_seeds: float | None
    p_value: float
    verdict: str


def interval(values: Any, level: float = LEVEL) -> Interval:
    """Mean over seeds with Student's t interval.

    Args:
        values: ``[seeds]``.
        level: Confidence level of the interval.

    Raises:
        ValueError: There is no value, or a value is no finite number.
    """
    values = _numbers(values, 1)
    if len(values) < 2:
        return Interval(float(values.mean()), None)
    error = values.std(ddof=1) / math.sqrt(len(values))
    return Interval(float(values.mean()), float(_quantile(1 - level, len(values)) * error))


def paired_over_users(first: Any, second: Any) -> Paired | None:
    """Whether two models differ on other users, taken as they are trained.

    Args:
        first: A metric by user, ``[users]``, or ``[seeds, users]``, of which the mean over seeds is taken.
        second: Values of the other model, with the same users in the same order.

    Returns:
        The test; None for one user.

    Raises:
        ValueError: Users differ in number, or a value is no finite number.
    """
    first, second = (np.atleast_2d(_numbers(values, 1, 2)).mean(axis=0) for values in (first, second))
    return _paired(first, second, "users", 2)


def paired_over_seeds(first: Any, second: Any) -> Paired | None:
    """Whether two models differ when they are trained anew, on these test users.

    Args:
        first: A metric of the whole test part by seed, ``[seeds]``.
        second: Values of the other model, in the same order; under a random split a seed's models share its test part.

    Returns:
        The test; None for fewer than 3 seeds.

    Raises:
        ValueError: Seeds differ in number, or a value is no finite number.
    """
    return _paired(_numbers(first, 1), _numbers(second, 1), "seeds", MIN_SEEDS)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's adjusted p-values: any of them below 0.05 by chance has a probability of at most 5 %.

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of Statistics 1979.

    Args:
        p_values: One per comparison.

    Returns:
        The adjusted ones, in the same order.

    Raises:
        ValueError: A p-value is not within 0 and 1.
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():  # NaN is not either
        raise ValueError("p-values lie between 0 and 1")
    order = p.argsort(kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)).clip(max=1)
    return [float(value) for value in adjusted]


def compare_with(reference: Any, others: Mapping[str, Any]) -> dict[str, Comparison]:
    """Each of several models against one.

    Args:
        reference: A metric by seed and user, ``[seeds, users]``, or ``[users]`` of one seed. A user has one value, the
            mean of the user's targets where there are several.
        others: Values of each other model, with the same seeds and users in the same order.

    Returns:
        The comparisons by model. A verdict other than ``no difference shown`` needs both tests, and their joint one:
        by chance, any is wrong with a probability of at most 5 %.

    Raises:
        ValueError: Shapes differ, there are fewer than two users, or a value is no finite number.
    """
    base = np.atleast_2d(_numbers(reference, 1, 2))
    over_users: list[Paired] = []
    over_seeds: list[Paired] = []
    for name, values in others.items():
        model = np.atleast_2d(_numbers(values, 1, 2))
        if model.shape != base.shape:
            raise ValueError(
                f"{name} has seeds x users {model.shape} and the reference {base.shape}: give both the same seeds and "
                "users"
            )
        users = paired_over_users(model, base)
        if users is None:
            raise ValueError("one user shows no spread: a comparison needs two or more")
        over_users.append(users)
        seeds = paired_over_seeds(model.mean(axis=1), base.mean(axis=1))
        if seeds is not None:
            over_seeds.append(seeds)
    p_users = holm([test.p_value for test in over_users])
    if len(base) < MIN_SEEDS:
        return {
            name: Comparison(users.difference, users.half_width, p, None, p, f"{_verdict(users, p)} ({USERS_ONLY})")
            for name, users, p in zip(others, over_users, p_users, strict=True)
        }
    p_seeds = holm([test.p_value for test in over_seeds])
    both = list(zip(over_users, over_seeds, strict=True))
    p_both = holm([_p_over_both(*pair) for pair in both])
    return {
        name: Comparison(pair[0].difference, _width(ALPHA, *pair), p_of_users, p_of_seeds, p, _verdict(pair[0], p))
        for name, pair, p_of_users, p_of_seeds, p in zip(others, both, p_users, p_seeds, p_both, strict=True)
    }


def _numbers(values: Any, *dimensions: int) -> Values:
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.ndim not in dimensions or not numbers.size:
        raise ValueError(f"values of shape {numbers.shape}: expected {' or '.join(map(str, dimensions))} dimensions")
    if not np.isfinite(numbers).all():
        raise ValueError("a value is NaN or infinite: there is nothing to compare")
    return numbers


def _paired(first: Values, second: Values, units: str, least: int) -> Paired | None:
    if len(first) != len(second):
        raise ValueError(f"{len(first)} {units} and {len(second)}: pairs need the same on both sides")
    n = len(first)
    if n < least:
        return None
    differences = first - second
    difference, error = float(differences.mean()), float(differences.std(ddof=1)) / math.sqrt(n)
    # The t-test is what is reported: the interval belongs to it, and on metrics of hundreds of users it keeps its level
    # and loses no power, though they are not normal (Urbano, Lima & Hanjalic, SIGIR 2019). Of 3 seeds, no permutation
    # test can give less than 0.25.
    if error:
        p_value = float(2 * special.stdtr(n - 1, -abs(difference) / error))
    else:
        p_value = 0.0 if difference else 1.0
    return Paired(difference, _quantile(ALPHA, n) * error, p_value, error, n)


def _quantile(p: float, n: int) -> float:
    """How many standard errors from 0 Student's t of n values lies with probability p, on either side."""
    return -float(special.stdtrit(n - 1, p / 2))


def _p_over_both(users: Paired, seeds: Paired) -> float:
    """The p-value where users and seeds both vary.

    That the two tests agree is not enough: the difference varies by both sources and is held against one at a time, so
    that it passes both too often by chance where they are alike. Half-widths whose squares add up keep the level
    whatever the spreads are (Banerjee, Sankhyā 1960): users x seeds is a balanced layout, whose two standard errors are
    independent, and what both of them count errs to the safe side. The p-value is the level at which the interval ends
    at 0.
    """
    least, size = max(users.p_value, seeds.p_value), abs(users.difference)

    def beyond(log_p: float) -> float:
        return _width(math.exp(log_p), users, seeds) - size

    if not 1e-100 < least < 1 or beyond(math.log(least)) <= 0:  # quantiles further out are not reliable
        return least
    return math.exp(optimize.brentq(beyond, math.log(least), 0.0))


def _width(p: float, *pairs: Paired) -> float:
    return math.hypot(*(_quantile(p, pair.pairs) * pair.error for pair in pairs))


def _verdict(users: Paired, p_value: float) -> str:
    return "no difference shown" if p_value >= ALPHA else "better" if users.difference > 0 else "worse"
