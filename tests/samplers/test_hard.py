"""Hard draws beside the batch's: their law is in the weights, so they change the variance and not what is estimated."""

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
    terms = sampler.resampled_terms(pool.terms(positives), scores[pool.ids].unsqueeze(0), valid)
    n, h = int(valid.sum()), 500
    assert terms["log_n"].exp().item() == pytest.approx(n + h, rel=1e-5)
    left = torch.tensor([item for item in range(1, 30) if item != 7])
    base = counts.counts[left] / counts.counts[left].sum()
    expected = (n * base + h * torch.softmax(scores[left], 0)) / (n + h)
    found = torch.zeros(31).index_put_((pool.ids,), terms["negative_log_q"][0].exp())[left]
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-7)


def test_the_estimate_of_the_partition_function_stays_and_its_spread_falls(counts):
    """Scores with a few high tail items, which frequency draws seldom meet and importance weights then blow up."""
    generator = torch.Generator().manual_seed(5)
    scores = torch.randn(31, generator=generator)
    scores[[25, 28]] = 5.0
    left = torch.tensor([item for item in range(1, 30) if item != 2])
    odds = scores[left].exp().sum()
    found = {}
    for name, options in (("in_batch", {}), ("hard", {"hard": 64})):
        sampler = get_sampler(name)(counts, count=None, seed=1, **options)
        estimates = []
        for _ in range(400):
            pool = sampler.sample(torch.multinomial(counts.counts.double(), 2000, True, generator=generator))
            valid = valid_columns(pool, torch.tensor([2]), "masked")
            value = losses_from_scores(
                get_loss("corrected_logq"),
                sampler,
                pool,
                torch.zeros(1),
                scores[pool.ids].unsqueeze(0),
                valid,
                pool.terms(torch.tensor([2])),
            )
            estimates.append(torch.expm1(value.double()))
        found[name] = torch.cat(estimates)
    for name, estimates in found.items():
        error = estimates.std() / 400**0.5
        assert abs(estimates.mean() - odds) < 4 * error + 0.02 * odds, name
    assert found["hard"].std() < 1.1 * found["in_batch"].std()


def test_only_a_correction_takes_it():
    for loss in ("sampled_softmax", "logq", "bpr"):
        with pytest.raises(ValueError, match="loss"):
            get_sampler("hard").check_loss(get_loss(loss))
    get_sampler("hard").check_loss(get_loss("corrected_logq"))


def test_impossible_options(counts):
    with pytest.raises(ValueError, match="hard must be"):
        get_sampler("hard")(counts, count=12, seed=0, hard=0)
