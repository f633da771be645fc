"""Popularity draws: the stated law, and what is really drawn."""

import pytest
import torch
from scipy.stats import chisquare

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0, 2.0])
def test_draws_follow_the_stated_law(counts, alpha):
    sampler = get_sampler("popularity")(counts, count=200_000, seed=1, alpha=alpha)
    pool = sampler.sample(torch.ones(1, dtype=torch.int64))
    law = pool.log_q_of(torch.arange(1, counts.n_items)).double().exp()
    weight = counts.counts[1:].double() ** alpha
    torch.testing.assert_close(law, weight / weight.sum(), rtol=1e-5, atol=0)
    seen = torch.bincount(pool.ids, minlength=counts.n_items)[1:]
    drawn = law > 0
    assert not seen[~drawn].any()
    assert chisquare(seen[drawn].numpy(), (law[drawn] / law[drawn].sum() * 200_000).numpy()).pvalue > 1e-4


def test_more_items_than_multinomial_takes():
    n_items = 2**24 + 10
    counts = torch.zeros(n_items, dtype=torch.int64)
    counts[[3, n_items - 1]] = torch.tensor([1, 3])
    pool = get_sampler("popularity")(TargetCounts(counts), count=1000, seed=0).sample(torch.ones(1, dtype=torch.int64))
    assert set(pool.ids.tolist()) == {3, n_items - 1}
    assert 0.65 < (pool.ids == n_items - 1).double().mean() < 0.85


@pytest.mark.parametrize("alpha", [-0.1, float("inf"), float("nan")])
def test_impossible_alpha(counts, alpha):
    with pytest.raises(ValueError, match="alpha must be"):
        get_sampler("popularity")(counts, count=5, seed=0, alpha=alpha)


def test_a_count_is_needed(counts):
    with pytest.raises(ValueError, match="needs a count"):
        get_sampler("popularity")(counts, count=None, seed=0)
