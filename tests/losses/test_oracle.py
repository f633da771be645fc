"""Expected gradients by enumeration: six items, every pool of n draws with its probability.

Masked: the draws come from Q without the positive, renormalised - the law of a draw that survives the mask.
Kept: the draws come from Q itself, copies of the positive among them.
"""

import itertools
import math

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.samplers import Pool

SCORES = torch.tensor([1.0, 0.5, 0.0, -0.5, 2.0, 1.5], dtype=torch.float64)
Q = torch.tensor([0.40, 0.25, 0.15, 0.10, 0.06, 0.04], dtype=torch.float64)
POSITIVE = 4
P_POSITIVE = 0.414085


def enumerate_pools(n: int, hits: str):
    """All multisets of n draws, int64 [pools, n], and the probability of each."""
    law = Q.clone()
    if hits == "masked":
        law[POSITIVE] = 0
        law = law / law.sum()
    items = [item for item in range(len(law)) if law[item] > 0]
    pools = torch.tensor(list(itertools.combinations_with_replacement(items, n)))
    multiplicity = torch.stack([(pools == item).sum(1) for item in range(len(law))], dim=1).double()
    orders = math.lgamma(n + 1) - torch.lgamma(multiplicity + 1).sum(1)
    probability = (orders + law[pools].log().sum(1)).exp()
    assert probability.sum().item() == pytest.approx(1.0, abs=1e-12)
    return pools, probability


def expected(name: str, n: int, hits: str, statistic=lambda value: value):
    """Expectation over all pools of a statistic of the loss, and its gradient in the six scores."""
    pools, probability = enumerate_pools(n, hits)
    scores = SCORES.clone().requires_grad_()
    rows = len(pools)
    value = get_loss(name)(
        scores[POSITIVE].expand(rows),
        scores[pools],
        positive_log_q=Q[POSITIVE].log().expand(rows),
        negative_log_q=Q.log()[pools],
    )
    total = (probability * statistic(value)).sum()
    total.backward()
    return total.item(), scores.grad


def full_gradient():
    scores = SCORES.clone().requires_grad_()
    loss = get_loss("full_softmax")
    loss(scores[POSITIVE : POSITIVE + 1], scores.unsqueeze(0)).sum().backward()
    return scores.grad


def test_full_softmax_gradient_is_softmax_minus_one_hot():
    gradient = full_gradient()
    assert 1 + gradient[POSITIVE].item() == pytest.approx(P_POSITIVE, abs=1e-6)
    target = torch.zeros(6, dtype=torch.float64)
    target[POSITIVE] = 1
    torch.testing.assert_close(gradient, torch.softmax(SCORES, 0) - target, rtol=1e-12, atol=1e-14)


TABLE = {
    ("sampled_softmax", "masked"): (0.680572, 0.393176, 0.427674),
    ("logq", "kept"): (0.891929, 0.659895, 0.555771),
    ("logq", "masked"): (0.885040, 0.613087, 0.476159),
    ("logq_uncorrected_positive", "masked"): (0.360849, 0.480928, 0.538384),
    ("corrected_logq", "masked"): (0.367182, 0.243577, 0.196726),
    ("corrected_logq", "kept"): (0.386796, 0.325345, 0.312308),
}


@pytest.mark.parametrize(
    ("name", "hits", "n", "figure"),
    [(*pair, n, figure) for pair, row in TABLE.items() for n, figure in zip((1, 4, 6), row, strict=True)],
)
def test_relative_error_of_the_expected_gradient(name, hits, n, figure):
    _, gradient = expected(name, n, hits)
    target = full_gradient()
    assert ((gradient - target).norm() / target.norm()).item() == pytest.approx(figure, abs=1e-6)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_corrected_estimates_the_partition_function_without_bias(n):
    """e^loss - 1 is the estimate of (Z - e^s+) / e^s+; its expectation is exact for every n."""
    odds, _ = expected("corrected_logq", n, "masked", torch.expm1)
    p_positive = torch.softmax(SCORES, 0)[POSITIVE].item()
    assert odds == pytest.approx(1 / p_positive - 1, rel=1e-12)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_logq_estimates_n_times_the_partition_function_with_hits_kept(n):
    odds, _ = expected("logq", n, "kept", torch.expm1)
    p_positive = torch.softmax(SCORES, 0)[POSITIVE].item()
    assert odds == pytest.approx(n * Q[POSITIVE].item() / p_positive, rel=1e-12)


def test_distinct_pools_estimate_the_partition_function_without_bias():
    """Horvitz-Thompson: every subset of the other items, each item in it independently with its own pi."""
    others = [item for item in range(6) if item != POSITIVE]
    pi = torch.tensor([0.9, 0.8, 0.5, 0.3, 0.6, 0.2])
    held = torch.tensor(list(itertools.product([False, True], repeat=5)))
    probability = torch.where(held, pi[others], 1 - pi[others]).double().prod(dim=1)
    columns = torch.tensor(others)
    pool = Pool(columns, "inclusion", torch.full((5,), -1), log_q=pi.log()[columns], law=lambda ids: pi.log()[ids])
    terms = pool.terms(torch.full((len(held),), POSITIVE))
    positive, negatives = SCORES[POSITIVE].expand(len(held)), SCORES[columns].expand(len(held), 5)
    value = get_loss("corrected_logq")(positive, negatives, valid=held, **terms)
    odds = (probability * torch.expm1(value)).sum().item()
    assert odds == pytest.approx(1 / torch.softmax(SCORES, 0)[POSITIVE].item() - 1, rel=1e-6)
