"""The cache of XIR: uniform at first, then by how often rows drew an item; part of the checkpoint."""

import math

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.models.step import losses_from_scores
from recbole_logq.samplers import get_sampler, valid_columns


def make(counts, **options):
    return get_sampler("xir")(counts, **({"count": 12, "seed": 4} | options))


def test_the_first_cache_is_uniform_over_the_catalogue(counts):
    sampler = make(counts, count=30_000)
    found = torch.bincount(sampler.cache, minlength=31)
    assert found[0] == 0
    assert ((found[1:] - 1000.0) ** 2 / 1000).sum() < 58.3  # chi-square with 29 degrees of freedom, one in a thousand
    assert sampler.log_cache_law[1:].tolist() == pytest.approx([-math.log(30)] * 30)
    assert sampler.log_cache_law[0] == -math.inf


def test_each_half_draws_half_as_many_by_its_own_law(counts, draw):
    sampler, positives = make(counts), draw()
    pool = sampler.sample(positives)
    assert torch.equal(pool.ids[12:], sampler.cache)
    assert (pool.origin[12:] == -1).all()
    drawn = sampler.resample(torch.zeros(40, 24), pool, valid_columns(pool, positives, "masked")).exp()
    assert (drawn[:, :12].sum(1).round() == 6).all()
    assert (drawn[:, 12:].sum(1).round() == 6).all()


def test_the_weights_take_out_the_law_of_each_half(counts):
    """Where scores are log Q, everything weighs alike."""
    sampler = make(counts, count=4000)
    positives = torch.multinomial(counts.counts.double(), 4000, True, generator=torch.Generator().manual_seed(0))
    pool = sampler.sample(positives)
    scores = torch.cat([counts.log_frequency()[pool.ids[:4000]], sampler.log_cache_law[pool.ids[4000:]]]).unsqueeze(0)
    drawn = sampler.resample(scores.expand(50, -1), pool).exp().sum(0)
    for half in (drawn[:4000], drawn[4000:]):
        assert half.sum() == 50 * 2000
        assert half.max() < 60  # 25 on average


def test_the_next_cache_is_drawn_by_the_occurrences_after_an_applied_step(counts, draw):
    sampler, positives = make(counts), draw()
    first = sampler.cache.clone()
    pool = sampler.sample(positives)
    drawn = sampler.resample(torch.randn(40, 24), pool).exp()
    assert torch.equal(sampler.sample(positives).ids[12:], first)  # not applied yet
    assert not sampler.occurrences.any()
    sampler.after_step()
    expected = torch.zeros(31).index_add_(0, pool.ids, drawn.sum(0)).round().long()
    assert torch.equal(sampler.occurrences, expected)
    assert expected[sampler.cache].all()  # only what was drawn can be in it
    law = sampler.log_cache_law.exp()
    torch.testing.assert_close(law, expected / expected.sum(), rtol=1e-5, atol=1e-7)
    sampler.after_step()  # nothing was drawn in between
    assert torch.equal(sampler.occurrences, expected)


def test_before_any_draw_the_cache_stays(counts):
    sampler = make(counts)
    first = sampler.cache.clone()
    pool = sampler.sample(torch.full((12,), 3))
    sampler.resample(torch.zeros(12, 24), pool, torch.zeros(12, 24, dtype=torch.bool))
    sampler.after_step()
    assert torch.equal(sampler.cache, first)


def test_the_loss_is_the_weighted_sum_over_both(counts, draw):
    sampler, positives = make(counts, cache_weight=0.2), draw()
    pool = sampler.sample(positives)
    state = sampler.generator.get_state()
    scores = torch.randn(40, 24, generator=torch.Generator().manual_seed(1))
    valid, loss = valid_columns(pool, positives, "masked"), get_loss("sampled_softmax")
    value = losses_from_scores(loss, sampler, pool, torch.zeros(40), scores, pool.terms(positives, hits="masked"))
    sampler.generator.set_state(state)
    log_count = sampler.resample(scores, pool, valid)
    batch, cache = (
        loss(torch.zeros(40), (scores + log_count)[:, part], valid=~log_count[:, part].isneginf())
        for part in (slice(0, 12), slice(12, 24))
    )
    torch.testing.assert_close(value, 0.8 * batch + 0.2 * cache)


def test_the_cache_is_in_the_checkpoint(counts, draw):
    first = make(counts)
    for _ in range(3):
        first.resample(torch.randn(40, 24), first.sample(draw()))
        first.after_step()
    second = make(counts, seed=99)
    second.load_state_dict(first.state_dict())
    batch = draw()
    assert torch.equal(first.sample(batch).ids, second.sample(batch).ids)
    assert torch.equal(first.log_cache_law, second.log_cache_law)


@pytest.mark.parametrize("options", [{"count": None}, {"count": 1}, {"cache_weight": 0}, {"cache_weight": 1.0}])
def test_impossible_options(counts, options):
    with pytest.raises(ValueError, match="sampler 'xir'"):
        make(counts, **options)
