"""A proposal that learns, in the laboratory: what it learns from, that it is then left alone, and that it is exact."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import pytest
import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.lab import measure as measuring
from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.measure import measure
from recbole_logq.lab.problem import World
from recbole_logq.lab.step_gradient import StepGradient
from recbole_logq.lab.subject import Subject
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import UserItems, get_sampler
from recbole_logq.samplers.systematic import Systematic

ITEMS, N = 300, 24
LEARNED = Estimator.parse("LearnedSystematic:rate=0.02")


@pytest.fixture(scope="module")
def world() -> Subject:
    return World(items=ITEMS).subject(16)


def raised(subject: Subject, items: Tensor, by: float, history: UserItems | None = None) -> Subject:
    """The world of a model that likes some items more, which are its one user's where there is a history."""

    def one(part: Subject) -> Subject:
        rows = len(part.positives)
        scores = part.scores.index_add(1, items - 1, torch.full((rows, len(items)), by, dtype=torch.float64))
        users = None if history is None else torch.zeros(rows, dtype=torch.int64)
        return replace(part, scores=scores, users=users, history=history)

    assert subject.others is not None
    others = subject.others
    return replace(one(subject), others=lambda: map(one, others()))


def taught(estimator: Estimator, subject: Subject, lessons: int = 150) -> StepGradient:
    at_work = StepGradient(estimator, subject, N, 0)
    assert subject.others is not None
    for others, batch in zip(islice(subject.others(), lessons), subject.batches(N), strict=False):
        StepGradient(estimator, others, N, 0, at_work.sampler).teach(batch)
    at_work.sampler.settle()
    return at_work


def test_frozen_it_is_the_fixed_proposal_of_the_same_numbers(world: Subject) -> None:
    """Pool after pool, over two orders of the items: the proposal's numbers as the frequencies of a fixed one."""
    at_work = taught(LEARNED, world)
    learned = at_work.sampler
    assert isinstance(learned, Systematic)
    assert learned.pi.max() < 1  # what is certain a fixed one keeps apart
    before = learned.pi.clone()
    counts = TargetCounts((learned._learned() * 1e15).round().long())
    subject = replace(world, counts=counts)
    other = StepGradient(Estimator.parse("corrected_logq+systematic:proposal=frequency"), subject, N, 0)
    fixed = other.sampler
    assert isinstance(fixed, Systematic)
    fixed.order.copy_(learned.order)
    fixed.set_extra_state(learned.get_extra_state())
    batch = next(world.batches(N))
    for _ in range(70):
        (ours, pool), (theirs, same) = at_work.outside(batch), other.outside(batch)
        assert torch.equal(pool.ids, same.ids)
        torch.testing.assert_close(ours, theirs, rtol=1e-5, atol=1e-7)
    assert torch.equal(learned.pi, before)


def test_it_learns_from_other_rows_of_the_model(world: Subject) -> None:
    """What a pool has to estimate, over all users of the world rather than over the rows that are examined."""
    sampler = taught(Estimator.parse("LearnedSystematic:rate=0.01"), world, 400).sampler
    assert isinstance(sampler, Systematic)

    def apart(subjects: list[Subject]) -> float:
        parts = [one.scores.softmax(1).scatter(1, one.positives.unsqueeze(1) - 1, 0.0) for one in subjects]
        mean = torch.cat(parts).mean(0)
        target = 0.7 * mean / mean.sum() + 0.3 / ITEMS
        return float(0.5 * (sampler._learned()[1:] - target).abs().sum())

    assert world.others is not None
    everyone = list(islice(world.others(), 400))
    assert apart(everyone) < 0.15
    assert apart([world]) > 2 * apart(everyone)


def test_what_a_checkpoint_has_learned_is_where_it_starts(world: Subject, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = get_sampler("systematic")(world.counts, count=100, seed=9, proposal="learned")
    assert isinstance(stored, Systematic)
    assert stored.running is not None
    stored.running.mass.copy_(torch.arange(ITEMS + 1).float())
    monkeypatch.setattr(measuring, "MOST_LESSONS", 0)
    at_work = StepGradient(LEARNED, replace(world, sampler=stored), N, 0)
    assert measuring._taught(at_work, N, world.batches(N)) == 0
    sampler = at_work.sampler
    assert isinstance(sampler, Systematic)
    share = 0.7 * torch.arange(1, ITEMS + 1).double() / (ITEMS * (ITEMS + 1) / 2) + 0.3 / ITEMS
    torch.testing.assert_close(sampler.pi[1:], N * share, rtol=1e-5, atol=0)
    torch.testing.assert_close(sampler.log_pi[1:].double().exp(), N * share, rtol=1e-5, atol=0)


def test_it_is_worth_its_lessons_and_says_how_many_there_were(world: Subject) -> None:
    """Of a model that likes twenty rare items, for all users alike."""
    subject = raised(world, torch.arange(200, 220), 4.0)
    names = ("LearnedSystematic:uniform_share=0.1", "corrected_logq+systematic:proposal=popularity")
    found, without = (measure(Estimator.parse(name), subject, N, 48) for name in names)
    sampler = Estimator.parse(names[0]).build_sampler(world.counts, N, 0)
    assert found.lessons == sampler.pools_to_settle == 150  # log 20 over a rate of 24 / 1,200, rounded up
    assert without.lessons == 0
    assert found.spread < 0.7 * without.spread
    assert found.bias < without.bias
    for ratio, error in found.q_fit:
        assert abs(ratio - 1) < 4 * error + 0.002


def test_own_items_are_none_of_what_it_learns(world: Subject) -> None:
    """Two items that every user of the world has, and that every user's model likes best."""
    known = torch.tensor([2, 3])
    history = UserItems(torch.zeros(2, dtype=torch.int64), known, 1)
    subject = raised(world, known, 6.0, history)
    without, beside = (
        taught(Estimator.parse(f"LearnedSystematic:rate=0.05{own}"), subject, 100).sampler
        for own in ("", ":own=history")
    )
    assert isinstance(without, Systematic)
    assert isinstance(beside, Systematic)
    assert without._learned()[known].sum() > 0.25
    assert beside._learned()[known].sum() < 0.02


def test_without_other_rows_there_is_nothing_to_learn_from(world: Subject) -> None:
    with pytest.raises(RequestError, match="no other rows to learn from"):
        measure(LEARNED, replace(world, others=None), N, 16)
