"""The t interval over seeds."""

from __future__ import annotations

import pytest

from recbole_logq.report.intervals import over_seeds
from recbole_logq.report.summary import limits


def test_against_a_table_of_t() -> None:
    found = over_seeds([1.0, 2.0, 3.0])
    # t with two degrees of freedom at 97.5 % is 4.3027; the error of the mean is 1 / sqrt(3).
    assert found.mean == 2.0
    assert found.low == pytest.approx(2 - 4.30265 / 3**0.5, abs=1e-4)
    assert found.high == pytest.approx(2 + 4.30265 / 3**0.5, abs=1e-4)
    assert found.n == 3


def test_one_seed_has_no_interval_and_none_has_no_mean() -> None:
    assert over_seeds([0.5]) == (0.5, None, None, 1)
    assert over_seeds([]) == (None, None, None, 0)


def test_what_is_no_number_does_not_count() -> None:
    assert over_seeds([None, float("nan"), 0.5]) == (0.5, None, None, 1)


def test_an_interval_ends_where_values_end() -> None:
    assert over_seeds([0.0, 0.9, 0.9], (0.0, 1.0))[1:3] == (0.0, 1.0)
    assert limits("NDCG@10") == limits("gini@100") == (0.0, 1.0)
    assert limits("novelty@10")[1] == float("inf")
