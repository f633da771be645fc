"""The second stage: draws per row on a shared pool."""

import pytest
import torch

from recbole_logq.samplers.resampling import draw_counts


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def test_counts_follow_the_weights():
    """Chi-square on 200,000 independent draws, five columns: 18.5 is exceeded once in a thousand times."""
    weight = torch.tensor([[0.5, 0.25, 0.15, 0.07, 0.03]])
    counts = draw_counts(weight.log() + 7.0, 200_000, generator())
    expected = 200_000 * weight
    assert counts.sum() == 200_000
    assert ((counts - expected) ** 2 / expected).sum() < 18.5


def test_every_row_has_its_own_weights():
    weight = torch.tensor(
        [[0.0, -torch.inf, -torch.inf], [-torch.inf, -torch.inf, 3.0], [-torch.inf, -1000.0, -torch.inf]]
    )
    assert draw_counts(weight, 5, generator()).tolist() == [[5, 0, 0], [0, 0, 5], [0, 5, 0]]


def test_rows_and_pools_without_anything_to_draw():
    nothing = torch.full((2, 3), -torch.inf)
    assert draw_counts(nothing, 4, generator()).tolist() == [[0] * 3] * 2
    assert draw_counts(torch.zeros(2, 0), 4, generator()).shape == (2, 0)
    assert draw_counts(torch.zeros(0, 2), 4, generator()).shape == (0, 2)


def test_columns_of_weight_zero_are_never_drawn():
    weight = torch.zeros(1, 1000)
    weight[0, ::2] = -torch.inf
    counts = draw_counts(weight.expand(200, -1), 500, generator())
    assert not counts[:, ::2].any()
    assert counts.sum() == 200 * 500


def test_numbers_at_both_ends_fall_on_columns_with_weight(monkeypatch):
    """The smallest and the largest number that can come up, among columns of weight 0 on either side."""
    uniform = torch.tensor([[0.0, 0.5, 0.5, 0.5, 0.0]])  # gaps: next to nothing first and last
    monkeypatch.setattr(torch, "rand", lambda *shape, **_: uniform.clone())
    weight = torch.tensor([[0.0, 0.3, 0.3, 0.4, 0.0]]).log()
    assert draw_counts(weight, 4, generator()).tolist() == [[0, 1, 1, 2, 0]]


def test_draws_are_independent():
    """Counts of a multinomial: variance n p (1 - p), covariance -n p q."""
    p = torch.tensor([0.5, 0.3, 0.2])
    counts = draw_counts(p.log().expand(20_000, 3), 50, generator()).double()
    expected = 50 * (torch.diag(p) - p.unsqueeze(1) * p).double()
    torch.testing.assert_close(counts.T.cov(), expected, rtol=0, atol=5 * 12.5 * (2 / 20_000) ** 0.5)
    torch.testing.assert_close(counts.mean(0), 50 * p.double(), rtol=0, atol=5 * (12.5 / 20_000) ** 0.5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_large_scores_do_not_overflow(dtype):
    counts = draw_counts(torch.tensor([[800.0, -800.0, 800.0]], dtype=dtype), 100, generator())
    assert counts[0, 1] == 0
    assert counts.sum() == 100


def test_weights_in_double_precision_are_counted_in_it():
    counts = draw_counts(torch.tensor([[0.0, 1.0, -torch.inf]], dtype=torch.float64), 50, generator())
    assert counts.dtype == torch.float64
    assert counts.sum() == 50
    assert counts[0, 2] == 0
