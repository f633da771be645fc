"""Distinct items by a proposal: inclusion probabilities as asked for, and their frequencies."""

import pytest
import torch

from recbole_logq.probability import inclusion_of_size
from recbole_logq.samplers import get_sampler

POSITIVES = torch.tensor([1, 2])


def test_probabilities_fill_up_to_one_and_add_up_to_the_size():
    q = torch.tensor([0.0, 0.5, 0.2, 0.1, 0.1, 0.06, 0.04], dtype=torch.float64)
    # c = 5 takes the first to 1; then c = 2 / 0.5 leaves nothing else above it.
    torch.testing.assert_close(inclusion_of_size(q, 3), torch.tensor([0, 1, 0.8, 0.4, 0.4, 0.24, 0.16]).double())
    # Filling up the first takes the second past 1 too.
    torch.testing.assert_close(inclusion_of_size(q, 4), torch.tensor([0, 1, 1, 2 / 3, 2 / 3, 0.4, 4 / 15]).double())
    assert inclusion_of_size(q, 6).tolist() == [0, 1, 1, 1, 1, 1, 1]
    generator = torch.Generator().manual_seed(0)
    for n in (1, 7, 60):
        some = torch.rand(100, generator=generator, dtype=torch.float64) ** 8
        pi = inclusion_of_size(some, n)
        assert pi.sum().item() == pytest.approx(n, rel=1e-12)
        assert pi.max() <= 1
        below = pi < 1
        scale = pi[below] / some[below]
        torch.testing.assert_close(scale, scale[:1].expand_as(scale))
        assert (some[~below] * scale[0] >= 1 - 1e-9).all()
    with pytest.raises(ValueError, match="7 distinct items cannot be drawn from 6"):
        inclusion_of_size(q, 7)


@pytest.mark.parametrize("options", [{"proposal": "frequency"}, {"proposal": "popularity"}, {}], ids=str)
def test_items_are_in_the_pool_as_often_as_stated(counts, options):
    sampler, repeats = get_sampler("systematic")(counts, count=12, seed=5, **options), 3000
    held = torch.zeros(31)
    for _ in range(repeats):
        pool = sampler.sample(POSITIVES)
        assert len(pool.ids.unique()) == 12
        held[pool.ids] += 1
    pi = pool.log_q_of(torch.arange(31)).double().exp()
    random = (pi > 0) & (pi < 1)
    assert torch.equal(held[~random], (pi[~random] * repeats).float())
    z = ((held - repeats * pi) / (repeats * pi * (1 - pi)).sqrt())[random]
    assert (z**2).sum() < 65  # chi-square of at most 29 degrees of freedom, one in ten thousand
    assert (z**2).sum() > 5  # and not one pool over and over
    assert pi[30].item() == 0 or not options


def test_a_pool_as_large_as_the_catalogue_is_the_catalogue(counts):
    everything = get_sampler("systematic")(counts, count=500, seed=0).sample(POSITIVES)
    assert everything.ids.sort().values.tolist() == list(range(1, 31))
    assert not everything.log_q.any()
    seen = get_sampler("systematic")(counts, count=500, seed=0, proposal="frequency").sample(POSITIVES)
    assert 30 not in seen.ids.tolist()


def test_a_checkpoint_between_two_shuffles_continues(counts):
    first, second = (get_sampler("systematic")(counts, count=9, seed=seed) for seed in (1, 2))
    for _ in range(70):
        first.sample(POSITIVES)
    second.load_state_dict(first.state_dict())
    for _ in range(70):
        assert torch.equal(first.sample(POSITIVES).ids, second.sample(POSITIVES).ids)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"count": None}, "needs a count"),
        ({"proposal": "learnt"}, "frequency, popularity, mixture or learned"),
        ({"alpha": 0.5}, "option of proposal=popularity"),
        ({"proposal": "frequency", "uniform_share": 0.5}, "option of proposal=mixture or learned"),
        ({"rate": 0.1}, "option of proposal=learned"),
        ({"proposal": "learned", "refresh": 0}, "whole number from 1 up"),
        ({"proposal": "learned", "rate": 1.0}, "between 0 and 1"),
        ({"proposal": "popularity", "alpha": 0.0}, "above 0"),
        ({"uniform_share": 1.0}, "between 0 and 1"),
    ],
)
def test_impossible_options(counts, options, message):
    with pytest.raises(ValueError, match=message):
        get_sampler("systematic")(counts, **{"count": 9, "seed": 0, **options})
