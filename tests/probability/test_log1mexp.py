"""log(1 - p) from log p, against high-precision figures."""

from decimal import Decimal, getcontext

import pytest
import torch

from recbole_logq.probability import log1mexp


def exact(log_p: float) -> float:
    """log(1 - e^a) with 60 digits."""
    getcontext().prec = 60
    return float((1 - Decimal(log_p).exp()).ln())


@pytest.mark.parametrize("log_p", [-1e-12, -1e-6, -1e-3, -0.5, -0.6931, -0.7, -2.0, -20.0, -40.0, -80.0])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 3e-7), (torch.float64, 1e-15)])
def test_full_relative_precision_at_both_ends(log_p, dtype, tolerance):
    value = torch.tensor(log_p, dtype=dtype)
    expected = exact(float(value))  # of the number that the type can hold
    assert float(log1mexp(value)) == pytest.approx(expected, rel=tolerance, abs=0.0)


def test_the_ends_and_beyond():
    value = log1mexp(torch.tensor([0.0, 1e-7, -torch.inf]))
    assert value.tolist() == [-torch.inf, -torch.inf, 0.0]
