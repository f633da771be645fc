"""Inclusion probabilities of draws without replacement."""

import itertools
import math

import pytest
import torch

from recbole_logq.probability import log_inclusion_of_units


@pytest.mark.parametrize("units", [1, 5, 7])
def test_against_every_draw(units):
    for n in range(1, units + 1):
        draws = list(itertools.combinations(range(units), n))
        held = torch.arange(units + 1)
        expected = [sum(any(unit < u for unit in draw) for draw in draws) / len(draws) for u in held.tolist()]
        torch.testing.assert_close(log_inclusion_of_units(held, units, n).exp(), torch.tensor(expected).double())


def test_rare_items_and_large_numbers_keep_their_precision():
    """One in a billion, and 1 - pi of e^-50."""
    assert float(log_inclusion_of_units(torch.tensor([1.0]), 1e9, 1)) == pytest.approx(math.log(1e-9), rel=1e-12)
    assert float(log_inclusion_of_units(torch.tensor([3.0]), 1e9, 1000)) == pytest.approx(math.log(3e-6), rel=1e-6)
    left = float(log_inclusion_of_units(torch.tensor([1e6]), 1e8, 5000))
    assert left == pytest.approx(-(0.99**5000), rel=2e-3)


def test_halves_lie_between_whole_numbers_and_all_units_hold_what_any_holds():
    values = log_inclusion_of_units(torch.tensor([1.0, 1.5, 2.0]), 9.5, 3)
    assert values[0] < values[1] < values[2] < 0
    assert log_inclusion_of_units(torch.tensor([0.0, 0.5, 2.0]), 3.5, 20).tolist() == [-torch.inf, 0.0, 0.0]


@pytest.mark.parametrize("n", [0, -1])
def test_no_draw_is_refused(n):
    with pytest.raises(ValueError, match="at least one draw"):
        log_inclusion_of_units(torch.tensor([1.0]), 5, n)
