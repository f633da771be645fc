"""Inclusion probabilities of independent draws."""

import math

import pytest
import torch

from recbole_logq.probability import log_inclusion_of_draws


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("n", [1, 2, 7, 300])
def test_against_the_plain_formula_where_that_is_exact(n, dtype):
    p = torch.tensor([0.001, 0.03, 0.2, 0.5, 0.77], dtype=torch.float64)
    expected = (1 - (1 - p) ** n).log()
    value = log_inclusion_of_draws(p.log().to(dtype), n)
    assert value.dtype == dtype
    torch.testing.assert_close(value.double(), expected, rtol=2e-6 if dtype == torch.float32 else 1e-12, atol=1e-7)


def test_one_draw_is_the_probability_itself():
    log_p = torch.tensor([-30.0, -3.0, -0.01])
    torch.testing.assert_close(log_inclusion_of_draws(log_p, 1), log_p)


def test_tiny_n_p_tends_to_n_p():
    """1 - (1 - 1e-30)^1000 is 0 in any floating type when written out."""
    log_p = torch.tensor([1e-30]).log()
    assert float(log_inclusion_of_draws(log_p, 1000)) == pytest.approx(math.log(1e-27), rel=1e-6)


def test_large_n_p_keeps_the_distance_to_one():
    """p = 0.01, n = 5000: 1 - pi is e^-50, which no float32 pi can show."""
    value = float(log_inclusion_of_draws(torch.tensor([0.01]).log(), 5000))
    assert value == pytest.approx(-(0.99**5000), rel=1e-3)


def test_certain_and_impossible_items():
    assert log_inclusion_of_draws(torch.tensor([0.0, -torch.inf]), 5).tolist() == [0.0, -torch.inf]


def test_n_may_differ_by_element():
    value = log_inclusion_of_draws(torch.tensor([0.5, 0.5]).log(), torch.tensor([1, 2]))
    torch.testing.assert_close(value.exp(), torch.tensor([0.5, 0.75]))


@pytest.mark.parametrize("n", [0, -3])
def test_no_draws_are_refused(n):
    with pytest.raises(ValueError, match="at least one draw"):
        log_inclusion_of_draws(torch.tensor([-1.0]), n)
