"""Shares of columns: what the gradient of a step says of the softmax, in every way a loss is worked out."""

import pytest
import torch

from recbole_logq.losses import get_loss, limits
from recbole_logq.losses.shares import ColumnShares
from recbole_logq.losses.terms import Terms

FAMILY = ("corrected_logq", "logq", "logq_uncorrected_positive", "sampled_softmax", "infonce")


def shares_of(values, weights, shares):
    (values * weights).sum().backward()
    *columns, rows = shares.sums().tolist()
    return torch.tensor(columns).double() / rows


@pytest.mark.parametrize("log_q", ["column", "pair"])
@pytest.mark.parametrize("name", FAMILY)
def test_they_are_the_weighted_mean_of_the_gradient_in_the_scores(name, log_q, make_problem, monkeypatch):
    loss, problem = get_loss(name), make_problem(log_q=log_q)
    terms = dict(problem.terms)
    if name in ("corrected_logq", "sampled_softmax") and log_q == "column":
        terms["certain"] = torch.linspace(-1, 2, 7, dtype=torch.float64)
    weights = torch.tensor([1.0, 2.0, 0.0, 1.0, 3.0, 1.0, 0.5]).double() * 7.0  # of any scale
    positive, negatives = problem.scores()
    (loss(positive, negatives, **terms) * weights).sum().backward()
    expected = negatives.grad.sum(0) / weights.sum()

    values = []
    for whole in (limits.WHOLE_MATRIX, 10):  # a pool that is too large is worked on block by block
        monkeypatch.setattr(limits, "WHOLE_MATRIX", whole)
        for form, arguments in ((loss, problem.scores()), (loss.from_vectors, problem.leaves())):
            shares = ColumnShares.of_pool(9, torch.device("cpu"))
            values.append(form(*arguments, Terms(**terms, shares=shares)))
            torch.testing.assert_close(shares_of(values[-1], weights, shares), expected, rtol=1e-6, atol=1e-7)
    for value in values:
        torch.testing.assert_close(value, loss(*problem.scores(), **terms), rtol=1e-12, atol=0)


def test_with_inclusion_probabilities_they_are_the_horvitz_thompson_estimate_of_the_probability():
    generator = torch.Generator().manual_seed(1)
    scores, pi = torch.randn(5, 6, generator=generator).double(), torch.rand(6, generator=generator).double()
    positive, certain = torch.randn(2, 5, generator=generator).double()
    shares = ColumnShares.of_pool(6, scores.device)
    nothing = torch.full((5,), -torch.inf)
    terms = Terms(nothing, pi.log(), excluded_log_q=nothing, log_n=0.0, certain=certain, shares=shares)
    values = get_loss("corrected_logq")(positive, scores, terms)
    z = positive.exp() + certain.exp() + (scores.exp() / pi).sum(1)
    expected = (scores.exp() / z[:, None]).mean(0) / pi
    torch.testing.assert_close(shares_of(values, torch.ones(5), shares), expected, rtol=1e-6, atol=0)


def test_nothing_is_known_before_the_backward_pass_and_other_losses_have_none():
    shares = ColumnShares.of_pool(3, torch.device("cpu"))
    assert not shares.known
    assert shares.sums().tolist() == [0.0] * 4
    with pytest.raises(ValueError, match="loss 'bpr' is no sum of exponentials"):
        get_loss("bpr")(torch.zeros(2), torch.zeros(2, 3), shares=shares)
