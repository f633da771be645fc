"""Hard draws beside the batch's: their law is in the weights, so what is estimated stays the same."""

from dataclasses import replace

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.models.step import losses_from_scores
from recbole_logq.samplers import get_sampler, valid_columns


def test_every_valid_column_stands_once_and_hard_ones_again(counts, draw):
    sampler, positives = get_sampler("hard")(counts, count=12, seed=1, hard=20), draw()
    pool = sampler.sample(positives)
    valid = valid_columns(pool, positives, "masked")
    drawn = sampler.resample(torch.randn(40, 12), pool, valid).exp().round()
    assert (drawn >= 1).all()
    extra = (drawn - 1) * valid
    assert torch.equal(extra, drawn - 1)
    assert (extra.sum(1)[valid.any(1)] == 20).all()


def test_the_mixture_is_a_law_of_the_catalogue_without_the_positive(counts):
    """On a pool that is the catalogue itself, each item as often as its frequency says, P is the exact softmax."""
    ids = torch.arange(1, 30).repeat_interleave(counts.counts[1:-1])
    sampler = get_sampler("hard")(counts, count=None, seed=1, hard=500)
    pool = sampler.sample(ids)
    positives, scores = torch.tensor([7]), torch.linspace(-2, 2, 31)
    valid = pool.ids.unsqueeze(0) != 7
    terms = sampler.resampled_terms(replace(pool.terms(positives), valid=valid), scores[pool.ids].unsqueeze(0))
    n, h = int(valid.sum()), 500
    assert terms["log_n"].exp().item() == pytest.approx(n + h, rel=1e-5)
    left = torch.tensor([item for item in range(1, 30) if item != 7])
    base = counts.counts[left] / counts.counts[left].sum()
    expected = (n * base + h * torch.softmax(scores[left], 0)) / (n + h)
    found = torch.zeros(31).index_put_((pool.ids,), terms["negative_log_q"][0].exp())[left]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_given_the_pool_hard_draws_change_nothing_in_the_mean_and_add_spread(counts):
    """E over the hard draws of the estimated odds is the pool's own estimate, whatever the pool is."""
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(31, generator=generator).double()
    scores[[25, 28]] = 3.0
    positives = torch.multinomial(counts.counts.double(), 200, True, generator=generator)
    plain, hard = (get_sampler(name)(counts, count=None, seed=1) for name in ("in_batch", "hard"))
    loss, repeats = get_loss("corrected_logq"), 4000

    def odds(sampler, rows):
        pool, target = sampler.sample(positives), torch.full((rows,), 2)
        terms = pool.terms(target, hits="masked")
        negatives = scores[pool.ids].expand(rows, -1)
        return torch.expm1(losses_from_scores(loss, sampler, pool, torch.zeros(rows).double(), negatives, terms))

    expected, drawn = odds(plain, 1).item(), odds(hard, repeats)
    error = drawn.std().item() / repeats**0.5
    assert 0 < drawn.std() < expected  # they are drawn, and weighted so that they do not run away
    assert abs(drawn.mean().item() - expected) < 4 * error


def test_a_row_from_which_everything_is_excluded_is_empty(counts, draw):
    sampler, positives = get_sampler("hard")(counts, count=12, seed=1), draw()
    pool = sampler.sample(positives)
    terms = replace(pool.terms(positives, hits="masked"), excluded_log_q=torch.full((40,), 1e-9))  # rounds past 1
    scores = torch.randn(40, 12, requires_grad=True)
    value = losses_from_scores(get_loss("corrected_logq"), sampler, pool, torch.zeros(40), scores, terms)
    value.sum().backward()
    assert not value.any()
    assert scores.grad.isfinite().all()


def test_only_a_correction_takes_it():
    for loss in ("sampled_softmax", "logq", "bpr"):
        with pytest.raises(ValueError, match="loss"):
            get_sampler("hard").check_loss(get_loss(loss))
    get_sampler("hard").check_loss(get_loss("corrected_logq"))


def test_impossible_options(counts):
    with pytest.raises(ValueError, match="hard must be"):
        get_sampler("hard")(counts, count=12, seed=0, hard=0)
