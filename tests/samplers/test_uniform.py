"""Uniform draws."""

import math

import pytest
import torch

from recbole_logq.samplers import get_sampler


def test_every_item_is_drawn_equally_often_padding_never(counts):
    sampler = get_sampler("uniform")(counts, count=30_000, seed=3)
    observed = torch.bincount(sampler.sample(torch.tensor([1])).ids, minlength=31)
    assert len(observed) == 31
    assert observed[0] == 0
    statistic = ((observed[1:] - 1000.0) ** 2 / 1000).sum().item()
    assert 5 < statistic < 29 + 6 * (2 * 29) ** 0.5  # a fit that is too good is not random either


def test_q_is_one_over_the_catalogue_for_unseen_items_too(build, draw):
    pool = build("uniform").sample(draw())
    assert (pool.origin == -1).all()
    torch.testing.assert_close(pool.log_q, torch.full((12,), -math.log(30)))
    assert pool.log_q_of(torch.tensor([30])).item() == pytest.approx(-math.log(30))


def test_it_needs_a_count(counts):
    with pytest.raises(ValueError, match="needs a count"):
        get_sampler("uniform")(counts, count=None, seed=0)
