"""Batch importance resampling: which columns come up, and what the loss makes of them."""

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.models.step import losses_from_scores
from recbole_logq.samplers import get_sampler, valid_columns


def test_draws_follow_score_minus_log_popularity_over_the_valid_columns(counts):
    sampler = get_sampler("bir")(counts, count=None, seed=3, draws=100_000)
    positives = torch.tensor([1, 2, 2, 5, 9])
    pool = sampler.sample(positives)
    scores = torch.tensor([[0.3, -1.0, 0.5, 2.0, 1.0]]).expand(5, 5)
    valid = valid_columns(pool, positives, "masked")
    drawn = sampler.resample(scores, pool, valid).exp()
    p = counts.counts[positives].double() / counts.counts.sum()
    weight = (scores[0].double().exp() / p) * valid
    expected = weight / weight.sum(1, keepdim=True)
    assert not drawn[~valid].any()
    torch.testing.assert_close(drawn.double() / 100_000, expected, rtol=0, atol=5 * 0.5 / 100_000**0.5)


def test_a_multiplicity_is_a_pool_with_copies(counts):
    """The loss on counts is the uncorrected loss on the gathered columns, and so is its gradient."""
    sampler = get_sampler("bir")(counts, count=6, seed=1, draws=9)
    positives = torch.tensor([1, 2, 3, 4, 5, 6, 7, 8])
    pool = sampler.sample(positives)
    state = sampler.generator.get_state()
    leaf = torch.randn(8, 6, generator=torch.Generator().manual_seed(2)).double().requires_grad_()
    valid, terms = valid_columns(pool, positives, "masked"), pool.terms(positives, hits="masked")
    loss, positive = get_loss("sampled_softmax"), torch.zeros(8).double()
    value = losses_from_scores(loss, sampler, pool, positive, leaf, terms)
    gradient = torch.autograd.grad(value.sum(), leaf)[0]
    sampler.generator.set_state(state)
    counted = sampler.resample(leaf.detach(), pool, valid).exp().round().long()
    assert (counted.sum(1) == 9).all()
    for row in range(8):
        copies = leaf[row].repeat_interleave(counted[row]).unsqueeze(0)
        plain = loss(positive[row : row + 1], copies)
        assert value[row].item() == pytest.approx(plain.item(), rel=1e-12)
        torch.testing.assert_close(gradient[row], torch.autograd.grad(plain.sum(), leaf)[0][row])


def test_by_default_it_draws_as_many_as_it_has(counts, draw):
    sampler, positives = get_sampler("bir")(counts, count=12, seed=1), draw()
    pool = sampler.sample(positives)
    assert (sampler.resample(torch.zeros(40, 12), pool).exp().sum(1).round() == 12).all()


def test_corrections_and_pairwise_losses_are_refused():
    for loss, reason in (("corrected_logq", "second correction"), ("bpr", "no sum of exponentials")):
        with pytest.raises(ValueError, match=reason):
            get_sampler("bir").check_loss(get_loss(loss))
    get_sampler("bir").check_loss(get_loss("sampled_softmax"))


def test_impossible_draws(counts):
    with pytest.raises(ValueError, match="draws"):
        get_sampler("bir")(counts, count=12, seed=0, draws=0)
