"""The share that is dropped, the mean that is kept, the gradient, the stream."""

from __future__ import annotations

import pytest
import torch

from recbole_logq.modules.dropout import Dropout


@pytest.mark.parametrize("p", [0.1, 0.2, 0.5, 0.9])
def test_the_share_and_the_mean(p: float) -> None:
    torch.manual_seed(0)
    n = 400_003  # no multiple of four
    kept = Dropout(p)(torch.ones(n, dtype=torch.float64))
    share = float((kept == 0).double().mean())
    assert abs(share - p) < 4 * (p * (1 - p) / n) ** 0.5
    assert kept.unique().tolist() == pytest.approx([0.0, 1 / (1 - p)], rel=1e-3)
    assert float(kept.mean()) == pytest.approx(1.0, abs=4 * (p / (1 - p) / n) ** 0.5)
    # The four draws of one number are independent of each other.
    dropped = (kept[: n // 4 * 4] == 0).double().view(-1, 4)
    together = torch.corrcoef(dropped.T) - torch.eye(4, dtype=torch.float64)
    assert together.abs().max() < 5 / (n / 4) ** 0.5


def test_the_gradient_goes_where_the_values_went() -> None:
    torch.manual_seed(0)
    values = torch.randn(50, 7, requires_grad=True)
    result = Dropout(0.5)(values)
    result.sum().backward()
    assert torch.equal(result, values.detach() * values.grad)
    assert set(values.grad.unique().tolist()) == {0.0, 2.0}


def test_nothing_happens_in_evaluation_or_at_zero() -> None:
    values = torch.randn(5, 3)
    assert Dropout(0.5).eval()(values) is values
    assert Dropout(0.0)(values) is values
    assert Dropout(0.3)(torch.randn(0, 4)).shape == (0, 4)


def test_the_seed_decides() -> None:
    results = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        results.append(Dropout(0.3)(torch.ones(100)))
    assert torch.equal(results[0], results[1])
    assert not torch.equal(results[0], results[2])


@pytest.mark.parametrize("p", [-0.1, 1.0, float("nan")])
def test_other_shares_are_refused(p: float) -> None:
    with pytest.raises(ValueError, match="from 0 to below 1"):
        Dropout(p)
