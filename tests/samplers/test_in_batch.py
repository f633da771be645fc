"""In-batch draws."""

import pytest
import torch

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler


def chi_square(observed, expected):
    return ((observed - expected) ** 2 / expected).sum().item()


def test_positions_are_drawn_without_replacement_and_keep_duplicates(build, draw):
    positives = draw(40)
    pool = build("in_batch").sample(positives)
    assert len(pool.origin.unique()) == 12
    assert torch.equal(pool.ids, positives[pool.origin])
    assert len(pool.ids.unique()) < 12


@pytest.mark.parametrize("count", [None, 40, 1000])
def test_a_batch_that_is_not_larger_is_taken_whole(build, draw, count):
    positives = draw(40)
    pool = build("in_batch", count=count).sample(positives)
    assert torch.equal(pool.ids, positives)
    assert pool.origin.tolist() == list(range(40))


def test_every_position_is_drawn_equally_often(build):
    positives, seen = torch.full((20,), 1), torch.zeros(20)
    sampler = build("in_batch", count=5)
    for _ in range(2000):
        seen[sampler.sample(positives).origin] += 1
    # Hypergeometric counts vary less than the multinomial ones that the bound is for.
    assert chi_square(seen, torch.full((20,), 500.0)) < 19 + 6 * (2 * 19) ** 0.5


def test_stated_q_is_the_law_of_the_draws(build, draw, counts):
    sampler, observed = build("in_batch", count=30), torch.zeros(31)
    for _ in range(1000):
        observed += torch.bincount(sampler.sample(draw(60)).ids, minlength=31)
    items = torch.arange(1, 30)
    stated = sampler.sample(draw(60)).log_q_of(items).exp()
    assert stated.sum().item() == pytest.approx(1, abs=1e-5)
    bound = 28 + 6 * (2 * 28) ** 0.5
    assert chi_square(observed[items], 30000 * stated) < bound
    assert chi_square(observed[items], 30000 * torch.full((29,), 1 / 29)) > bound


def test_items_without_targets(build, draw):
    sampler = build("in_batch")
    assert sampler.sample(draw()).log_q_of(torch.tensor([30])).item() == -torch.inf
    with pytest.raises(ValueError, match="item 30, which has no training targets"):
        sampler.sample(torch.full((5,), 30))


@pytest.mark.parametrize("name", ["in_batch", "in_batch_unique"])
def test_ids_above_2_to_24_survive(name):
    big = 2**24
    value = torch.zeros(big + 4, dtype=torch.int64)
    value[[big + 1, big + 3]] = 1
    sampler = get_sampler(name)(TargetCounts(value), count=None, seed=0)
    assert sampler.sample(torch.tensor([big + 1, big + 3])).ids.tolist() == [big + 1, big + 3]
