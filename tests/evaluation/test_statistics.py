"""Statistics against scipy, cases by hand, and experiments in which nothing is to be found."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from recbole_logq.comparisons.user_values import mean_by_user
from recbole_logq.evaluation.statistics import compare_with, holm, interval, paired_over_seeds, paired_over_users


def normal(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape)


def test_interval_by_hand_and_by_scipy() -> None:
    found = interval([1.0, 2.0, 3.0])
    assert found.mean == 2
    assert found.half_width == pytest.approx(4.302653 / math.sqrt(3), rel=1e-6)  # t of 2 degrees of freedom
    values = normal(7)
    low, high = stats.t.interval(0.9, 6, values.mean(), stats.sem(values))
    mean, half_width = interval(values, level=0.9)
    assert (mean - half_width, mean + half_width) == pytest.approx((low, high))
    assert interval([0.25]) == (0.25, None)
    assert interval([0.5, 0.5, 0.5]) == (0.5, 0)


def test_over_users_is_scipys_paired_t_test() -> None:
    one, two = normal(50), normal(50, seed=1) + 0.1
    found, theirs = paired_over_users(one, two), stats.ttest_rel(one, two)
    low, high = theirs.confidence_interval(0.95)
    assert found.p_value == pytest.approx(theirs.pvalue, rel=1e-12)
    assert found.difference == pytest.approx(one.mean() - two.mean())
    assert found.difference - found.half_width == pytest.approx(low)
    assert found.difference + found.half_width == pytest.approx(high)


def test_seeds_are_averaged_before_users_are_compared() -> None:
    one, two = normal(3, 40), normal(5, 40, seed=1)
    found = paired_over_users(one, two)
    assert found.pairs == 40
    assert found.p_value == pytest.approx(stats.ttest_rel(one.mean(0), two.mean(0)).pvalue)


def test_over_seeds_is_scipys_paired_t_test() -> None:
    one, two = [0.31, 0.30, 0.33], [0.28, 0.29, 0.27]
    found = paired_over_seeds(one, two)
    assert found.p_value == pytest.approx(stats.ttest_rel(one, two).pvalue)


def test_holm_by_hand() -> None:
    # In order .005 * 4, .01 * 3, .03 * 2, .04 * 1: the last is no smaller than the one before.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.7]) == [1, 1]
    assert holm([0.02]) == [0.02]
    assert holm([0.02, 0.02]) == [0.04, 0.04]
    assert holm([]) == []


def test_nothing_differs() -> None:
    same = normal(4, 30)
    found = compare_with(same, {"same": same})["same"]
    assert found == (0, 0, 1, 1, 1, "no difference shown")


def test_the_same_difference_everywhere() -> None:
    base = np.zeros((3, 10))
    found = compare_with(base, {"more": base + 0.5, "less": base - 0.5})
    assert found["more"] == (0.5, 0, 0, 0, 0, "better")
    assert found["less"] == (-0.5, 0, 0, 0, 0, "worse")


def test_models_without_a_seed_stand_on_the_test_over_users() -> None:
    one, two = (np.tile(normal(1, 60, seed=seed), (3, 1)) for seed in (0, 1))
    found = compare_with(one, {"other": two})["other"]
    alone = stats.ttest_rel(two[0], one[0])
    assert found.p_seeds == 0
    assert found.p_value == pytest.approx(alone.pvalue)
    assert found.half_width == pytest.approx(paired_over_users(two, one).half_width)
    assert found.verdict == "no difference shown"


def test_p_values_are_adjusted_and_the_interval_ends_at_zero_where_p_is_five_percent() -> None:
    base = normal(5, 80)
    others = {f"m{i}": base + 0.2 * i + normal(5, 80, seed=i) + normal(5, 1, seed=9 + i) * 0.1 for i in range(1, 4)}
    found = compare_with(base, others)
    users = [stats.ttest_rel(model.mean(0), base.mean(0)).pvalue for model in others.values()]
    seeds = [stats.ttest_rel(model.mean(1), base.mean(1)).pvalue for model in others.values()]
    assert [one.p_users for one in found.values()] == pytest.approx(holm(users))
    assert [one.p_seeds for one in found.values()] == pytest.approx(holm(seeds))
    assert all(one.p_value >= max(one.p_users, one.p_seeds) for one in found.values())
    half = [paired_over_users(model, base).half_width for model in others.values()]
    by_seed = [paired_over_seeds(model.mean(1), base.mean(1)).half_width for model in others.values()]
    assert [one.half_width for one in found.values()] == pytest.approx(np.hypot(half, by_seed))
    # Moved so that the interval ends at 0, a model alone has p = 0.05.
    name = "m1"
    moved = others[name] - found[name].difference + found[name].half_width
    assert compare_with(base, {name: moved})[name].p_value == pytest.approx(0.05)


def test_a_difference_of_few_seeds_is_not_called_better() -> None:
    """Every user agrees, and seeds contradict one another."""
    base = normal(3, 200) * 0.01
    other = base + np.array([[0.9], [-0.5], [0.6]]) + normal(3, 200, seed=1) * 0.01
    found = compare_with(base, {"other": other})["other"]
    assert found.p_users < 1e-10
    assert found.p_seeds > 0.3
    assert found.verdict == "no difference shown"


def test_a_difference_of_few_users_is_not_called_better() -> None:
    """Every seed agrees, and users contradict one another."""
    base = normal(5, 20) * 0.01
    other = base + normal(1, 20, seed=4) + normal(5, 20, seed=1) * 0.01
    found = compare_with(base, {"other": other})["other"]
    assert found.p_seeds < 1e-4
    assert found.p_users > 0.1
    assert found.verdict == "no difference shown"


@pytest.mark.parametrize("seeds", [1, 2])
def test_too_few_seeds_are_said(seeds: int) -> None:
    base = normal(seeds, 50)
    assert paired_over_seeds(base.mean(1), base.mean(1)) is None
    given: Any = base[0] if seeds == 1 else base
    found = compare_with(given, {"up": given + 1 + normal(50, seed=1) * 0.1, "same": given})
    assert found["up"].verdict == "better (over users only: fewer than 3 seeds)"
    assert found["same"].verdict == "no difference shown (over users only: fewer than 3 seeds)"
    assert found["up"].p_seeds is None
    assert found["up"].p_value == found["up"].p_users


def familywise_errors(seeds: int, users: int, seed_spread: float, experiments: int = 300) -> tuple[float, float]:
    """Experiments with any verdict among 4 models that do not differ: ours, and by two tests that agree."""
    generator = np.random.default_rng(1)
    ours = agreed = 0
    for _ in range(experiments):
        draws = [
            generator.normal(size=(1, users))
            + seed_spread * math.sqrt(seeds / users) * generator.normal(size=(seeds, 1))
            + generator.normal(size=(seeds, users))
            for _ in range(5)
        ]
        found = compare_with(draws[0], dict(enumerate(draws[1:]))).values()
        ours += any(one.verdict != "no difference shown" for one in found)
        agreed += any(one.p_users < 0.05 and one.p_seeds < 0.05 for one in found)
    return ours / experiments, agreed / experiments


@pytest.mark.parametrize(("seeds", "seed_spread"), [(3, 0.0), (3, 1.0), (10, 0.0), (10, 1.0), (10, 3.0)])
def test_among_equal_models_at_most_five_percent_of_experiments_show_any_difference(
    seeds: int, seed_spread: float
) -> None:
    assert familywise_errors(seeds, 50, seed_spread)[0] <= 0.05


def test_two_tests_that_agree_would_not_be_enough() -> None:
    ours, agreed = familywise_errors(10, 50, 1.0)
    assert 0 < ours <= 0.05 < agreed


def test_holm_keeps_the_familywise_error_of_skewed_users_and_one_test_each_does_not() -> None:
    generator = np.random.default_rng(2)
    alone = adjusted = 0
    for _ in range(400):
        # Most users have no hit, as with NDCG of one target.
        base, *others = (generator.random((6, 400)) < 0.1) * generator.random((6, 400))
        p_values = [paired_over_users(other, base).p_value for other in others]
        alone += min(p_values) < 0.05
        adjusted += min(holm(p_values)) < 0.05
    assert adjusted / 400 <= 0.05
    assert alone / 400 > 0.1


def false_verdicts(averaged: bool, targets: int = 5, users: int = 60, experiments: int = 300) -> float:
    """Share of experiments with a verdict on two models that do not differ, where users have several targets each.

    Targets of a user are alike: what one model does better on one of them, it tends to do better on the others.
    """
    generator = torch.Generator().manual_seed(5)
    of_row = torch.arange(users).repeat_interleave(targets)
    found = 0
    for _ in range(experiments):
        taste = torch.randn(2, users, generator=generator, dtype=torch.float64)[:, of_row]
        rows = taste + torch.randn(2, len(of_row), generator=generator, dtype=torch.float64)
        one, two = (mean_by_user(model, of_row) for model in rows) if averaged else rows
        found += compare_with(two, {"one": one})["one"].verdict.startswith(("better", "worse"))
    return found / experiments


def test_several_targets_of_a_user_are_one_value() -> None:
    assert 0.02 <= false_verdicts(averaged=True) <= 0.08
    assert false_verdicts(averaged=False) > 0.2


REFUSED = [
    (lambda: interval([]), "dimensions"),
    (lambda: interval([[1.0, 2.0]]), "dimensions"),
    (lambda: interval([1.0, math.nan]), "NaN"),
    (lambda: paired_over_users([1.0, math.nan], [1.0, 2.0]), "NaN"),
    (lambda: paired_over_seeds([1.0, 2.0, math.inf], [1.0, 2.0, 3.0]), "infinite"),
    (lambda: paired_over_users([1.0, 2.0], [1.0]), "2 users and 1"),
    (lambda: paired_over_seeds([1.0, 2.0, 3.0], [1.0]), "3 seeds and 1"),
    (lambda: holm([0.5, math.nan]), "between 0 and 1"),
    (lambda: holm([1.5]), "between 0 and 1"),
    (lambda: compare_with(normal(3, 5), {"a": normal(2, 5)}), r"a has seeds x users \(2, 5\)"),
    (lambda: compare_with(normal(3, 5), {"a": normal(3, 4)}), r"the reference \(3, 5\)"),
    (lambda: compare_with(normal(3, 1), {"a": normal(3, 1)}), "one user"),
    (lambda: compare_with([math.nan, 1.0], {}), "NaN"),
]


@pytest.mark.parametrize(("call", "message"), REFUSED)
def test_what_cannot_be_compared_is_refused_in_one_line(call: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_one_user_has_no_test() -> None:
    assert paired_over_users([0.5], [0.25]) is None
    assert compare_with(normal(3, 4), {}) == {}
