"""Bias, spread and head mass of an estimator's gradient against that of the full softmax; torch only.

Gradients are those of a row's loss in its scores of the whole catalogue. Over R pools, with mean m and full gradient g,
``|m - g|^2 - tr(Cov) / R`` estimates the squared bias without the noise of the mean; it is averaged over rows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.options import GROUPS
from recbole_logq.lab.step_gradient import StepGradient
from recbole_logq.lab.strata import HEAD_SHARE, head_items, strata, what_is_seen
from recbole_logq.lab.subject import Batch, Subject
from recbole_logq.samplers import Pool, exclusion_of

_WARM_UP = {"cross_batch": 8, "streaming": 500}
"""Batches that a source which remembers has seen before it is examined; training gives it many more."""
MOST_LESSONS = 2000
"""Pools that a source which learns sees before it is examined, at most."""


@dataclass(frozen=True)
class Measured:
    """What one estimator does with n negatives.

    Args:
        estimator: Name of the estimator.
        n: Columns of the pool.
        bias: Root of the mean squared bias, relative to the full gradient's norm; 0 where the estimate is negative.
        bias_error: Standard error of the squared relative bias, from independent groups of pools.
        squared_bias: The squared relative bias itself; below about 2 errors it is not distinguishable from 0.
        spread: Standard deviation of the gradient over pools, relative to the full gradient's norm.
        head_mass: Negative-gradient mass on the most popular 1 % of the items, relative to the full softmax's; None
            where there is none, as for a few rows that all have popular positives.
        q_fit: Fit of Q by popularity (head 1 %, next 9 %, next 40 %, tail): how often the pools really held the items,
            relative to what their Q says, and the standard error of it; empty where no Q is stated.
        pools: Number of pools.
        strata: What the estimator sees of each part of the catalogue, as `what_is_seen` says.
        lessons: Pools that a source which learns saw beforehand, with other rows of the same model; 0 for others.
    """

    estimator: str
    n: int
    bias: float
    bias_error: float
    squared_bias: float
    spread: float
    head_mass: float | None
    q_fit: list[tuple[float, float]]
    pools: int
    strata: list[dict[str, Any]]
    lessons: int = 0


def measure(
    estimator: Estimator, subject: Subject, n: int, pools: int = 64, seed: int = 0, inside: bool = False
) -> Measured:
    """Examine one estimator.

    Args:
        estimator: Estimator to measure.
        subject: Rows, scores and batches.
        n: Columns of a pool.
        pools: Number of pools, at least two per group.
        seed: Seed of the sampler.
        inside: Whether each row is in the batch that its pool is made of, with all of its own unit, as in training.
            Sources that take nothing of the batch have the same law then, and own items are the same.

    Raises:
        ValueError: ``pools`` is below two per group, or the subject's rows are in no batch.
        RequestError: The mask needs users, or the source other rows to learn from, and the subject has none.
    """
    per_group = pools // GROUPS
    if per_group < 2:
        raise ValueError(f"pools={pools}: at least {2 * GROUPS}")
    if inside and subject.inside is None:
        raise ValueError(f"{subject.name}: its rows are in no batch")
    check_mask(estimator, subject)
    at_work = StepGradient(estimator, subject, n, seed)
    fit, stream = _QFit(subject), subject.batches(n)
    for _ in range(_WARM_UP.get(estimator.source, 0)):
        at_work.take_in(next(stream))
    lessons = _taught(at_work, n, stream)

    def from_outside() -> Iterator[Tensor]:
        for batch in stream:
            gradient, pool = at_work.outside(batch)
            fit.add(pool)
            yield gradient

    def from_inside() -> Iterator[Tensor]:
        assert subject.inside is not None
        for batches, lesson in zip(subject.inside(), stream, strict=True):
            yield at_work.inside(batches, lesson)

    full = full_gradient(subject, estimator.mask)
    gradients = from_inside() if inside and depends_on_row(estimator, subject) else from_outside()
    total, squares, group_biases = torch.zeros_like(full), torch.zeros_like(full), []
    for _ in range(GROUPS):
        group, group_squares = torch.zeros_like(full), torch.zeros_like(full)
        for _ in range(per_group):
            gradient = next(gradients)
            group += gradient
            group_squares.addcmul_(gradient, gradient)
        group_biases.append(_squared_bias(group, group_squares, full, per_group))
        total += group
        squares += group_squares

    norm = full.square().sum(dim=1).mean()
    used = GROUPS * per_group
    squared_bias = float(_squared_bias(total, squares, full, used) / norm)
    variance = (squares - total.square() / used) / (used - 1)  # [rows, items]
    spread = torch.stack(group_biases) / norm
    return Measured(
        estimator=estimator.name,
        n=n,
        bias=math.sqrt(max(squared_bias, 0.0)),
        bias_error=float(spread.std() / GROUPS**0.5),
        squared_bias=squared_bias,
        spread=float((variance.sum(dim=1).mean().clamp_min(0) / norm).sqrt()),
        head_mass=_head_mass(total / used, full, subject),
        q_fit=fit.result(),
        pools=used,
        strata=what_is_seen(strata(subject), full, total / used, variance / used),
        lessons=lessons,
    )


def _taught(at_work: StepGradient, n: int, stream: Iterator[Batch]) -> int:
    """Let a source that learns settle on the model, by rows that are not examined, and leave it at that.

    Examined rows would be a small part of all that training learns from: a proposal of their own fits them too well.
    """
    sampler, subject = at_work.sampler, at_work.subject
    if not sampler.learns:
        return 0
    assert subject.others is not None
    sampler.settle(subject.sampler)
    lessons = min(sampler.pools_to_settle, MOST_LESSONS)
    for other_rows, batch in zip(islice(subject.others(), lessons), stream, strict=False):
        StepGradient(at_work.estimator, other_rows, n, 0, sampler).teach(batch)
    sampler.settle()
    return lessons


def depends_on_row(estimator: Estimator, subject: Subject) -> bool:
    """Whether an estimator is another one for a row that its batch holds than for one that it does not."""
    from_batch = estimator.build_sampler(subject.counts, 16, 0).from_batch
    return from_batch or (estimator.own == "window" and subject.windows is None)


def check_mask(estimator: Estimator, subject: Subject) -> None:
    """Refuse a mask, or own items, that need users of a subject that has none, and learning without rows to learn from.

    Raises:
        RequestError: The estimator cannot be measured; one line with the reason.
    """
    if (estimator.mask != "target" or estimator.own) and (subject.users is None or subject.history is None):
        raise RequestError(f"{estimator.name}: {subject.name} has no users with a history; set --checkpoint=FILE")
    if subject.others is None and estimator.build_sampler(subject.counts, 16, 0).learns:
        raise RequestError(f"{estimator.name}: {subject.name} has no other rows to learn from; set --checkpoint=FILE")


def full_gradient(subject: Subject, mask: str = "target") -> Tensor:
    """Softmax minus one-hot, ``[rows, items]``; over the items that the mask leaves, the positive among them."""
    scores, own = subject.scores, subject.positives.unsqueeze(1) - 1
    excluded = exclusion_of(mask, subject.positives, subject.users, subject.history)
    if excluded is not None:
        held = excluded.columns(torch.arange(1, scores.shape[1] + 1))[excluded.row_set]
        scores = scores.masked_fill(held.scatter(1, own, False), -torch.inf)
    softmax = scores.softmax(dim=1)
    return softmax - torch.zeros_like(softmax).scatter_(1, own, 1.0)


def _squared_bias(total: Tensor, squares: Tensor, full: Tensor, n: int) -> Tensor:
    """Mean over rows of ``|mean - g|^2 - tr(Cov) / n``, from sums of gradients and of their squares."""
    mean = total / n
    variance = (squares - n * mean.square()) / (n - 1)
    return ((mean - full).square() - variance / n).sum(dim=1).mean()


def _head_mass(mean: Tensor, full: Tensor, subject: Subject) -> float | None:
    head = head_items(subject)
    negative = torch.ones_like(full, dtype=torch.bool).scatter_(1, subject.positives.unsqueeze(1) - 1, False)[:, head]
    ideal = float((full[:, head] * negative).sum())
    return float((mean[:, head] * negative).sum()) / ideal if ideal > 0 else None


class _QFit:
    """How often items are in the pools, against what the pools say."""

    def __init__(self, subject: Subject) -> None:
        order = subject.counts.counts[1:].argsort(descending=True, stable=True)
        bounds = [round(share * len(order)) for share in (HEAD_SHARE, 0.1, 0.5)]
        self._group = torch.empty(len(order) + 1, dtype=torch.int64)
        self._group[0] = 0
        self._group[order + 1] = torch.bucketize(torch.arange(len(order)), torch.tensor(bounds), right=True)
        self._ids = torch.arange(1, len(order) + 1)
        self._held: list[Tensor] = []
        self._expected: list[Tensor] = []

    def add(self, pool: Pool) -> None:
        """Count one pool."""
        if pool.kind not in ("draws", "inclusion"):
            return
        law: Callable[[Tensor], Tensor] = pool.log_q_of
        columns = len(pool.ids) if pool.kind == "draws" else 1
        probability = law(self._ids).double().exp()
        expected = torch.zeros(4, dtype=torch.float64).index_add_(0, self._group[self._ids], probability)
        self._expected.append(expected * columns)
        self._held.append(torch.bincount(self._group[pool.ids], minlength=4).double())

    def result(self) -> list[tuple[float, float]]:
        """Ratio and standard error by group; pools are the independent units."""
        if not self._expected:
            return []
        held, expected = torch.stack(self._held), torch.stack(self._expected)
        ratio = held.sum(0) / expected.sum(0).clamp_min(1e-300)
        residual = held - ratio * expected
        error = residual.std(dim=0) * len(held) ** 0.5 / expected.sum(0).clamp_min(1e-300)
        return [(float(a), float(b)) for a, b in zip(ratio, error, strict=True)]
