"""Rows that are in the batch their pool is made of, against formulas written out and every batch enumerated."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.measure import depends_on_row, full_gradient, measure
from recbole_logq.lab.problem import World
from recbole_logq.lab.step_gradient import StepGradient
from recbole_logq.lab.strata import strata, where_it_lies
from recbole_logq.lab.subject import Batch, Subject
from recbole_logq.lab.units import Units
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import Exclusion, UserItems

WINDOWS = [[1, 2, 3], [2, 1, 2], [3, 4], [5, 1], [6, 2, 4], [4, 6]]
"""Targets by window; the second user has item 2 twice."""
ROWS = [1, 3, 10]
"""Examined targets: item 2 of the first window, item 2 and its copy's window, item 2 of the fifth."""
SIZE, N_ITEMS = 3, 6


@pytest.fixture
def units() -> Units:
    sizes = torch.tensor([len(window) for window in WINDOWS])
    targets = torch.tensor([item for window in WINDOWS for item in window])
    return Units(targets, torch.arange(len(WINDOWS)).repeat_interleave(sizes), sizes, of_windows=True)


@pytest.fixture
def subject(units: Units) -> Subject:
    rows = torch.tensor(ROWS)
    scores = torch.randn(len(ROWS), N_ITEMS, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    windows = [sorted(set(WINDOWS[unit])) for unit in units.unit_of[rows].tolist()]
    pairs = [(number, item) for number, window in enumerate(windows) for item in window]
    own = Exclusion(torch.arange(len(ROWS)), *(torch.tensor(column) for column in zip(*pairs, strict=True)), len(ROWS))
    held = torch.tensor([sum(item in window for window in WINDOWS) for item in range(N_ITEMS + 1)])
    counts = TargetCounts(torch.bincount(units.targets, minlength=N_ITEMS + 1), held, len(WINDOWS))

    def batches(_: int):
        generator = torch.Generator().manual_seed(5)
        while True:
            chosen = torch.randperm(len(WINDOWS), generator=generator)[:SIZE]
            one = units.batch(chosen, 0)
            yield Batch(one.positives, one.n_units, one.users)

    return Subject(
        name="six windows",
        scores=scores,
        positives=units.targets[rows],
        counts=counts,
        batches=batches,
        inside=lambda: units.with_rows(rows, SIZE, 1),
        users=units.users[rows],
        history=UserItems(units.users, units.targets, len(WINDOWS)),
        windows=own,
    )


def every_batch(units: Units, row: int) -> list[Batch]:
    """The batches that hold a row's window, each as likely as another."""
    own = int(units.unit_of[row])
    place = row - int(units.first[own])
    others = [window for window in range(len(WINDOWS)) if window != own]
    return [
        units.batch(torch.tensor([own, *rest]), place) for rest in itertools.combinations(others, SIZE - 1)
    ]  # fmt: skip


def by_hand(name: str, subject: Subject, row: int, batch: Batch) -> Tensor:
    """The gradient of one row's loss in its scores, from the formulas of docs/negatives.md, item by item."""
    scores = subject.scores[row].clone().requires_grad_()
    positive, total = int(subject.positives[row]), int(subject.counts.counts.sum())
    window = set(WINDOWS[int(subject.users[row])])
    own = window - {positive} if "own=window" in name else set()
    elsewhere = batch.windows != 0
    if "window=kept" in name:
        elsewhere = torch.arange(len(elsewhere)) != batch.place
    from_others = batch.positives[elsewhere].tolist()
    share = {item: int(subject.counts.counts[item]) / total for item in range(1, N_ITEMS + 1)}
    rest = 1 - sum(share[item] for item in own)
    certain = sum(scores[item - 1].exp() for item in own) if own else torch.zeros((), dtype=torch.float64)
    if name.startswith("LogQ"):
        columns = [item for item in from_others if item not in own]
        draws = len(columns) + 1
        estimate = sum(scores[item - 1].exp() * rest / share[item] for item in [*columns, positive]) / draws
        loss = (estimate + certain).log() - (scores[positive - 1] + math.log(rest / share[positive] / draws))
    elif name.startswith("CorrectedLogQ"):
        columns = [item for item in from_others if item not in own | {positive}]
        law = 1 - share[positive] - sum(share[item] for item in own)
        drawn = sum(scores[item - 1].exp() * law / share[item] for item in columns) / max(len(columns), 1)
        loss = (1 + (drawn + certain) / scores[positive - 1].exp()).log()
    else:  # distinct items of the other windows, each by its inclusion
        columns = sorted(set(from_others) - own - {positive})
        drawn = torch.zeros((), dtype=torch.float64)
        for item in columns:
            holding = sum(item in WINDOWS[other] for other in range(len(WINDOWS)) if other != int(subject.users[row]))
            without = math.comb(len(WINDOWS) - 1 - holding, SIZE - 1) / math.comb(len(WINDOWS) - 1, SIZE - 1)
            drawn = drawn + scores[item - 1].exp() / (1 - without)
        loss = (1 + (drawn + certain) / scores[positive - 1].exp()).log()
    return torch.autograd.grad(loss, scores)[0] if loss.requires_grad else torch.zeros_like(scores)


@pytest.mark.parametrize(
    "name",
    [
        "CorrectedLogQ",
        "CorrectedLogQ:own=window",
        "CorrectedLogQ:window=kept",
        "LogQ",
        "LogQ:own=window",
        "LogQ:window=kept",
        "corrected_logq+in_batch_unique",
    ],
)
def test_every_batch_that_holds_the_row(name: str, subject: Subject, units: Units) -> None:
    at_work = StepGradient(Estimator.parse(name), subject, 100, 0)
    another = next(subject.batches(0))
    for batches in zip(*(every_batch(units, row) for row in ROWS), strict=True):
        gradient = at_work.inside(list(batches), another)
        for row, batch in enumerate(batches):
            torch.testing.assert_close(gradient[row], by_hand(name, subject, row, batch), rtol=1e-6, atol=1e-7)


def test_the_bias_given_the_row_is_that_of_all_batches(subject: Subject, units: Units) -> None:
    """Two of six windows beside one's own, drawn without replacement: far from draws with replacement."""
    full = full_gradient(subject)
    exact = torch.stack(
        [
            torch.stack([by_hand("CorrectedLogQ", subject, row, batch) for batch in every_batch(units, target)]).mean(0)
            for row, target in enumerate(ROWS)
        ]
    )
    expected = float((exact - full).square().sum() / full.square().sum())
    estimator = Estimator.parse("CorrectedLogQ")
    found = measure(estimator, subject, 100, 640, inside=True)
    assert abs(found.squared_bias - expected) < 4 * found.bias_error
    outside = measure(estimator, subject, 100, 1600)
    assert abs(outside.squared_bias - expected) > 4 * (found.bias_error + outside.bias_error)
    # The parts of the bias and that of the positive are all of it.
    of_positive = (exact - full).gather(1, subject.positives.unsqueeze(1) - 1).square().sum() / full.square().sum()
    parts = sum(part["squared_bias"] for part in found.strata)
    assert parts + float(of_positive) == pytest.approx(found.squared_bias, abs=8 * found.bias_error)


def test_others_are_drawn_evenly_without_replacement(units: Units) -> None:
    stream, seen = units.with_rows(torch.tensor(ROWS), SIZE, 3), torch.zeros(len(ROWS), len(WINDOWS))
    for _ in range(450):
        for number, batch in enumerate(next(stream)):
            users = batch.users.unique()
            assert len(users) == SIZE
            assert batch.positives[batch.place] == units.targets[ROWS[number]]
            assert batch.users[batch.place] == units.users[ROWS[number]]
            seen[number, users] += 1
    for number, row in enumerate(ROWS):
        own = int(units.unit_of[row])
        assert seen[number, own] == 450
        others = torch.cat([seen[number, :own], seen[number, own + 1 :]])
        assert ((others - 180).square() / 180).sum() < 18.5  # chi-square of 4 degrees, one in a thousand


def test_interactions_are_units_of_one_row(subject: Subject) -> None:
    """As in a two-tower batch: the row's own column leaves, its user's other rows are scored exactly."""
    targets, users = torch.tensor([1, 2, 3, 4, 5, 6]), torch.tensor([0, 0, 0, 1, 1, 2])
    units = Units(targets, users, torch.ones_like(targets), of_windows=False)
    counts = TargetCounts(torch.tensor([0, *[1] * N_ITEMS]))
    history = UserItems(users, targets, 3)
    one = Subject(
        name="six interactions",
        scores=subject.scores[:1],
        positives=torch.tensor([2]),
        counts=counts,
        batches=lambda _: iter(()),
        inside=lambda: units.with_rows(torch.tensor([1]), 4, 0),
        users=torch.tensor([0]),
        history=history,
    )
    for chosen, own in (([1, 0, 3, 5], [1]), ([1, 3, 4, 5], []), ([1, 0, 2, 5], [1, 3])):
        batch = units.batch(torch.tensor(chosen), 0)
        assert batch.windows is None
        gradient = StepGradient(Estimator.parse("CorrectedLogQ:own=window"), one, 100, 0).inside([batch], batch)[0]
        scores = one.scores[0].clone().requires_grad_()
        columns = [targets[place] for place in chosen if users[place] != 0]
        law = 1 - (1 + len(own)) / N_ITEMS
        drawn = sum(scores[item - 1].exp() for item in columns) * law * N_ITEMS / len(columns)
        certain = sum(scores[item - 1].exp() for item in own)
        loss = (1 + (drawn + certain) / scores[1].exp()).log()
        torch.testing.assert_close(gradient, torch.autograd.grad(loss, scores)[0], rtol=1e-6, atol=1e-7)
    estimator = Estimator.parse("corrected_logq+uniform:own=window")
    assert depends_on_row(estimator, one)  # by its own items
    assert not depends_on_row(estimator, subject)


def test_where_the_gradient_lies(subject: Subject) -> None:
    parts = strata(subject)
    assert list(parts) == ["window", "history", "top 16", "head", "tail"]
    together = torch.stack(list(parts.values())).sum(dim=0)
    expected = torch.ones_like(together).scatter(1, subject.positives.unsqueeze(1) - 1, 0)
    assert torch.equal(together, expected)
    lies = {part["name"]: part for part in where_it_lies(parts, full_gradient(subject))}
    assert sum(part["mass"] for part in lies.values()) == pytest.approx(1)
    softmax = subject.scores.softmax(dim=1)
    mass = sum(
        softmax[row, item - 1]
        for row, user in enumerate(subject.users.tolist())
        for item in set(WINDOWS[user]) - {int(subject.positives[row])}
    )
    negative = 3 - softmax.gather(1, subject.positives.unsqueeze(1) - 1).sum()
    assert lies["window"]["mass"] == pytest.approx(float(mass / negative))
    assert lies["window"]["items"] == pytest.approx((2 + 1 + 2) / 3)
    assert lies["history"]["items"] == 0  # of users with one window


def test_the_own_stratum_takes_the_bias_of_own_items() -> None:
    """Items of the user's own that the model likes, and that a shared pool seldom holds."""
    world = World(items=300).subject(16)
    known = torch.arange(200, 232).reshape(16, 2)
    scores = world.scores.scatter_add(1, known - 1, torch.full((16, 2), 5.0, dtype=torch.float64))
    history = UserItems(torch.arange(16).repeat_interleave(2), known.flatten(), 16)
    subject = replace(world, scores=scores, users=torch.arange(16), history=history)
    names = ("CorrectedLogQ", "CorrectedLogQ:own=history")
    without, beside = (measure(Estimator.parse(name), subject, 32, 64) for name in names)
    assert [part["name"] for part in without.strata] == ["history", "top 16", "head", "tail"]
    assert without.strata[0]["squared_bias"] > 0.5 * without.squared_bias
    assert beside.squared_bias < without.squared_bias / 2
    assert beside.strata[0]["squared_bias"] < without.strata[0]["squared_bias"] / 4
    assert abs(beside.strata[0]["seen"] - 1) < abs(without.strata[0]["seen"] - 1) / 3
