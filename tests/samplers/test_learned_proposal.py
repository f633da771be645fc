"""A proposal that follows the model: what it learns, that it is what is drawn by, and that it is worth it.

Forty rows over the 30 items of the fixture. For one order of the items a pool is a function of the random start, and
all pools are the intervals between which that function is constant: expectations are exact.
"""

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.samplers import get_sampler

ITEMS, ROWS, COUNT = 30, 40, 8
POSITIVES = torch.arange(ROWS) % ITEMS + 1


@pytest.fixture
def scores():
    """float64 `[rows, items + 1]`; what is popular is not what the model prefers."""
    generator = torch.Generator().manual_seed(4)
    liked = torch.linspace(-2, 3, ITEMS + 1).double()
    return 1.5 * torch.randn(ROWS, ITEMS + 1, generator=generator).double() + liked


@pytest.fixture
def learned(counts):
    """Factory of samplers with a learned proposal."""

    def make(**options):
        return get_sampler("systematic")(counts, count=COUNT, seed=3, **{"proposal": "learned", **options})

    return make


def take_step(sampler, scores, positives=POSITIVES):
    """A pool, and the losses that the sampler has learned from."""
    pool = sampler.sample(positives)
    rows = torch.arange(len(positives))
    values = get_loss("corrected_logq")(
        scores[rows, positives], scores[:, pool.ids], pool.terms(positives, hits="masked")
    )
    if sampler.learns:
        values.mean().backward()
        sampler.learn([pool])
    return pool, values.detach()


def negative_probability(scores):
    """Mean over rows of the softmax's probability of each item where it is not the positive."""
    softmax = torch.cat([torch.zeros(ROWS, 1), scores[:, 1:].softmax(1)], dim=1)
    return softmax.scatter(1, POSITIVES.unsqueeze(1), 0.0).mean(0)


def pools_of_one_order(sampler, monkeypatch):
    """Every pool of the present order and its probability."""
    breaks = torch.cat([sampler.ends % 1, torch.tensor([0.0, 1.0])]).sort().values
    for low, high in zip(breaks[:-1].tolist(), breaks[1:].tolist(), strict=True):
        if high - low > 1e-12:
            monkeypatch.setattr(torch, "rand", lambda *_, at=(low + high) / 2, **__: torch.tensor([at]).double())
            sampler.taken = 0
            yield sampler.sample(POSITIVES), high - low
    monkeypatch.undo()


@pytest.mark.parametrize("steps", [0, 50])
def test_over_all_pools_it_is_what_is_stated_and_the_estimates_are_right(learned, scores, monkeypatch, steps):
    """Inclusion, the partition function of every row, and the estimate of m where the denominator is known."""
    sampler = learned(refresh=10, rate=0.05)
    for _ in range(steps):
        take_step(sampler, scores)
    held, z, mass = torch.zeros(31).double(), torch.zeros(ROWS).double(), torch.zeros(31).double()
    softmax = negative_probability(scores)
    positive = scores.gather(1, POSITIVES.unsqueeze(1))
    for pool, probability in pools_of_one_order(sampler, monkeypatch):
        assert len(pool.ids.unique()) == COUNT
        held[pool.ids] += probability
        terms = pool.terms(POSITIVES, hits="masked")
        values = get_loss("corrected_logq")(positive.squeeze(1), scores[:, pool.ids], terms)
        z += probability * (torch.expm1(values.detach()) + 1) * positive.squeeze(1).exp()
        mass[pool.ids] += probability * softmax[pool.ids] / pool.log_q.double().exp()
    pi = sampler.log_pi.double().exp()
    torch.testing.assert_close(held[1:], pi[1:], rtol=1e-6, atol=1e-12)
    assert held.sum().item() == pytest.approx(COUNT)
    torch.testing.assert_close(z, scores[:, 1:].exp().sum(1), rtol=1e-5, atol=0)
    torch.testing.assert_close(mass, softmax, rtol=1e-5, atol=1e-9)


def test_pools_hold_items_as_often_as_a_frozen_proposal_says(learned, scores):
    sampler, repeats = learned(refresh=20), 2000
    for _ in range(60):
        take_step(sampler, scores)
    sampler._arrange()
    pi, held = sampler.pi.clone(), torch.zeros(31)
    for _ in range(repeats):  # nothing is told, so a new order has the same probabilities but for fading
        pool = sampler.sample(POSITIVES)
        held[pool.ids] += 1
        torch.testing.assert_close(pool.log_q.double().exp(), pi[pool.ids], rtol=1e-5, atol=0)
    random = (pi > 0) & (pi < 1)
    assert random.sum() > 20
    assert torch.equal(held[~random], (pi[~random] * repeats).float())
    z = ((held - repeats * pi) / (repeats * pi * (1 - pi)).sqrt())[random]
    assert 5 < (z**2).sum() < 65  # chi-square of at most 29 degrees of freedom, one in ten thousand


def test_it_becomes_the_softmax_that_pools_have_to_estimate(learned, scores):
    sampler, seen = learned(refresh=5, rate=0.02), torch.zeros(31).double()
    start = sampler._learned().clone()
    for step in range(600):
        take_step(sampler, scores)
        seen += sampler._learned() * (step >= 300) / 300
    target = negative_probability(scores)
    target = 0.9 * target / target.sum() + 0.1 * (torch.arange(31) > 0) / ITEMS
    distance = [0.5 * (q - target).abs().sum() for q in (start, seen)]
    assert distance[1] < 0.1 < 0.4 < distance[0]


def test_between_two_refreshes_the_stated_probabilities_stay_those_drawn_by(learned, scores):
    sampler = learned(refresh=4)
    laws = [take_step(sampler, scores)[0].log_q_of(torch.arange(31)) for _ in range(9)]
    for step in range(1, 9):
        assert torch.equal(laws[step], laws[step - 1]) == (step % 4 != 0)


def test_what_it_is_worth(learned, counts, scores):
    """The spread of the loss, against the proposal that it starts at."""
    fixed = get_sampler("systematic")(counts, count=COUNT, seed=3, proposal="popularity")
    spread = []
    for sampler in (learned(refresh=5, rate=0.02), fixed):
        values = torch.stack([take_step(sampler, scores)[1] for _ in range(300)])
        spread.append(values[100:].std(0).mean())
    assert spread[0] < 0.7 * spread[1]


def test_a_checkpoint_between_two_refreshes_continues(learned, scores):
    first, second = learned(refresh=5), learned(refresh=5)
    for _ in range(13):
        take_step(first, scores)
    second.load_state_dict(first.state_dict())
    for _ in range(12):
        one, two = (take_step(sampler, scores)[0] for sampler in (first, second))
        assert torch.equal(one.ids, two.ids)
        assert torch.equal(one.log_q, two.log_q)
    assert torch.equal(first.running.mass, second.running.mass)


def test_nothing_is_learned_where_nobody_goes_backward(learned, scores):
    sampler = learned()
    before = sampler.running.value().clone()
    with torch.no_grad():
        pool = sampler.sample(POSITIVES)
    assert pool.shares is None
    for pools in ([pool], [sampler.sample(POSITIVES)], []):
        sampler.learn(pools)
    assert torch.equal(sampler.running.value(), before)


def test_rows_that_count_for_nothing_teach_nothing(learned, scores):
    sampler = learned(rate=0.5)
    pool = sampler.sample(POSITIVES)
    values = get_loss("corrected_logq")(scores[:, 1], scores[:, pool.ids], pool.terms(POSITIVES))
    (0.0 * values).sum().backward()
    before = sampler.running.value() * 0.5
    sampler.learn([pool])
    torch.testing.assert_close(sampler.running.value(), before)


@pytest.mark.parametrize("count", [30, 500])
def test_a_pool_of_everything(learned, counts, scores, count):
    sampler = get_sampler("systematic")(counts, count=count, seed=0, proposal="learned", refresh=1)
    for _ in range(3):
        pool, values = take_step(sampler, scores)
        assert pool.ids.sort().values.tolist() == list(range(1, 31))
        exact = scores[:, 1:].logsumexp(1) - scores.gather(1, POSITIVES.unsqueeze(1)).squeeze(1)
        torch.testing.assert_close(values, exact, rtol=1e-6, atol=1e-6)
