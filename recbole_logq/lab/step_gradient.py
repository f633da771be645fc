"""The gradient of one step in the scores of the whole catalogue, for rows that a batch holds or not; torch only."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.strata import own_columns
from recbole_logq.lab.subject import Batch, Subject
from recbole_logq.losses.score_logsumexp import MASKED_SCORE
from recbole_logq.losses.terms import Terms
from recbole_logq.models.step import losses_from_scores
from recbole_logq.samplers import Exclusion, Pool, Sampler, exclusion_of, group_of_columns, shared_items, target_items


@dataclass(frozen=True)
class _Part:
    """Rows that are scored against one pool, or against pools of the same kind, stacked.

    Args:
        rows: int64 ``[rows]``, which of the subject's rows.
        ids: int64 ``[pool]`` or ``[rows, pool]``.
        terms: Terms of these rows, with a mask that is a tensor.
        pool: Pool, for sources that draw from it once more; of stacked ones the first.
    """

    rows: Tensor
    ids: Tensor
    terms: Terms
    pool: Pool


class StepGradient:
    """An estimator at work on a subject's rows.

    Args:
        estimator: Estimator to examine.
        subject: Rows, scores and batches.
        n: Columns of a pool.
        seed: Seed of the sampler.
        sampler: Sampler of the same estimator that other rows use too. Default: one of its own.
    """

    def __init__(
        self, estimator: Estimator, subject: Subject, n: int, seed: int, sampler: Sampler | None = None
    ) -> None:
        self.estimator, self.subject = estimator, subject
        self.loss = estimator.build_loss(subject.counts.n_items - 1)
        self.sampler = estimator.build_sampler(subject.counts, n, seed) if sampler is None else sampler
        self.hits = estimator.hits or self.loss.hits
        self._excluded = exclusion_of(estimator.mask, subject.positives, subject.users, subject.history)
        self._own = self._fixed_own()
        self._certain = self._scored(self._own)

    @cached_property
    def _frequency(self) -> Tensor:
        return self.subject.counts.log_frequency()

    @cached_property
    def _own_of_row(self) -> list[Exclusion]:
        return _by_row(self._own)

    @cached_property
    def _excluded_of_row(self) -> list[Exclusion]:
        return _by_row(self._excluded)

    def _fixed_own(self) -> Exclusion | None:
        """Own items that do not depend on the batch."""
        subject = self.subject
        if self.estimator.own == "window":
            return subject.windows
        if self.estimator.own == "history":
            return exclusion_of("history", subject.positives, subject.users, subject.history)
        return None

    def _scored(self, own: Exclusion | None) -> _Certain | None:
        if own is None:
            return None
        scores = self.subject.scores
        return _Certain.of(scores, own_columns(own, self.subject.positives, scores.shape[1]))

    def take_in(self, batch: Batch) -> None:
        """Show a source that remembers one batch, as a step of training would."""
        self.sampler.sample(batch.positives, n_units=batch.n_units)
        self.sampler.after_step()

    def outside(self, batch: Batch) -> tuple[Tensor, Pool]:
        """The gradient of rows that are not in the batch, ``[rows, items]``, and the pool that they share."""
        part, certain = self._from_outside(batch)
        gradient = self._gradient([part], certain)
        self.sampler.after_step()
        return gradient, part.pool

    def teach(self, batch: Batch) -> None:
        """Let a source that learns take in what these rows have of a pool, as a step of training would."""
        part, certain = self._from_outside(batch)
        self._losses(part, certain)[0].sum().backward()
        self.sampler.learn([part.pool])
        self.sampler.after_step()

    def _from_outside(self, batch: Batch) -> tuple[_Part, _Certain | None]:
        """All rows with the pool of a batch that does not hold them, and their own items."""
        subject = self.subject
        pool = self.sampler.sample(batch.positives, n_units=batch.n_units)
        # The rows under examination are none of the batch's: no column is their own.
        pool.origin = torch.full_like(pool.origin, -1)
        own, certain = self._own, self._certain
        if self.estimator.own == "window" and subject.windows is None:
            own = self._of_users(batch)
            certain = self._scored(own)
        rows = torch.arange(len(subject.positives))
        terms = self._renamed(pool).terms(subject.positives, self._excluded, self.hits, own=own)
        return _Part(rows, pool.ids, self._whole(terms, len(rows)), pool), certain

    def inside(self, batches: list[Batch], lesson: Batch) -> Tensor:
        """The gradient of rows each of which is in a batch of its own, ``[rows, items]``.

        Args:
            batches: The batch that holds each row, one for each.
            lesson: What a source that learns from the step sees of it, a batch that has nothing to do with the rows.
        """
        parts, of_users = [], []
        for row, batch in enumerate(batches):
            assert batch.place is not None
            # Given the row, its own unit is there for certain: the others are what the law is of.
            stated = {"given_row": True} if "given_row" in self.sampler.reads else {}
            pool = self.sampler.sample(batch.positives, n_units=max(batch.n_units - 1, 1), **stated)
            group = None
            if batch.windows is not None and not self.estimator.window_kept:
                group = batch.windows[batch.place : batch.place + 1]
                if pool.from_batch:
                    pool = replace(pool, column_group=group_of_columns(pool, batch.positives, batch.windows))
                if pool.held_law is not None:
                    n_items = self.subject.counts.n_items
                    pool = replace(pool, held=target_items(batch.windows, batch.positives, batch.n_units, n_items))
            pool = self._renamed(pool.seen_from(torch.tensor([batch.place]), len(batch.positives)))
            own = self._own_of_row[row] if self._own_of_row else None
            if self.estimator.own == "window" and self.subject.windows is None:
                assert batch.users is not None
                own = _one_set(batch.positives[batch.users == batch.users[batch.place]].unique())
                of_users.append(own)
            excluded = self._excluded_of_row[row] if self._excluded_of_row else None
            terms = pool.terms(self.subject.positives[row : row + 1], excluded, self.hits, group, own)
            parts.append(_Part(torch.tensor([row]), pool.ids, self._whole(terms, 1), pool))
        certain = self._scored(_together(of_users)) if of_users else self._certain
        gradient = self._gradient(parts if self.sampler.resamples else [_stacked(parts)], certain)
        self.take_in(lesson)
        return gradient

    def _of_users(self, batch: Batch) -> Exclusion:
        """The items of each row's user in a batch that does not hold the row, and the row's own."""
        subject = self.subject
        assert batch.users is not None
        assert subject.users is not None
        row, column = (subject.users.unsqueeze(1) == batch.users).nonzero().unbind(1)
        rows = torch.arange(len(subject.positives))
        return shared_items(rows, subject.positives, row, batch.positives[column])

    def _renamed(self, pool: Pool) -> Pool:
        """The pool under the estimator's wrong law, where it has one."""
        if not self.estimator.frequency_q:
            return pool
        table = self._frequency
        return replace(pool, kind="draws", log_q=table[pool.ids], law=lambda ids: table[ids])

    @staticmethod
    def _whole(terms: Terms, rows: int) -> Terms:
        assert callable(terms.valid)
        return replace(terms, valid=terms.valid(0, rows))

    def _gradient(self, parts: list[_Part], certain: _Certain | None) -> Tensor:
        """Gradient of the losses in all scores, by way of those that the losses saw."""
        scores, column = self.subject.scores, self.subject.positives - 1
        gradient = torch.zeros_like(scores)
        for part in parts:
            values, leaves = self._losses(part, certain)
            of_positive, of_negatives, *of_exact = torch.autograd.grad(values.sum(), leaves)
            if certain is None:
                rows = torch.zeros(len(part.rows), scores.shape[1], dtype=scores.dtype)
            else:
                rows = of_exact[0].unsqueeze(1) * certain.softmax[part.rows]
            rows.scatter_add_(1, column[part.rows].unsqueeze(1), of_positive.unsqueeze(1))
            rows.scatter_add_(1, self._columns_of(part), of_negatives)
            gradient[part.rows] = rows
        return gradient

    def _losses(self, part: _Part, certain: _Certain | None) -> tuple[Tensor, list[Tensor]]:
        """Losses of rows, and the scores that they are functions of: of positives, of columns, of own items."""
        scores, column = self.subject.scores, self.subject.positives - 1
        rows = part.rows
        seen = [scores[rows, column[rows]], scores[rows.unsqueeze(1), self._columns_of(part)]]
        if certain is not None:
            seen.append(certain.lse[rows])
        positive, negatives, *exact = leaves = [leaf.detach().requires_grad_() for leaf in seen]
        terms = replace(part.terms, certain=exact[0]) if exact else part.terms
        return losses_from_scores(self.loss, self.sampler, part.pool, positive, negatives, terms), leaves

    @staticmethod
    def _columns_of(part: _Part) -> Tensor:
        return part.ids.expand(len(part.rows), -1) - 1


@dataclass(frozen=True)
class _Certain:
    """Rows' own items: logsumexp of their scores, ``[rows]``, and its gradient, ``[rows, items]``."""

    lse: Tensor
    softmax: Tensor

    @classmethod
    def of(cls, scores: Tensor, held_columns: Tensor) -> _Certain:
        own = scores.masked_fill(~held_columns, MASKED_SCORE)
        return cls(own.logsumexp(dim=1), own.softmax(dim=1))


def _together(sets: list[Exclusion]) -> Exclusion:
    """The set of each row as sets of all rows."""
    rows = torch.arange(len(sets))
    sizes = torch.tensor([len(exclusion.pair_item) for exclusion in sets])
    items = torch.cat([exclusion.pair_item for exclusion in sets])
    return Exclusion(rows, rows.repeat_interleave(sizes), items, len(sets))


def _by_row(sets: Exclusion | None) -> list[Exclusion]:
    """Each row's set by itself; none for no sets."""
    if sets is None:
        return []
    kept = torch.ones_like(sets.pair_set, dtype=torch.bool) if sets.repeated is None else ~sets.repeated
    return [_one_set(sets.pair_item[kept & (sets.pair_set == own)]) for own in sets.row_set]


def _one_set(items: Tensor) -> Exclusion:
    """Distinct items, in order, as the set of one row."""
    zero = torch.zeros(1, dtype=torch.int64)
    return Exclusion(zero, zero.expand(len(items)), items, 1)


def _stacked(parts: list[_Part]) -> _Part:
    """Rows with a pool each as one part, smaller pools filled up with columns that do not count."""
    width, terms = max(len(part.ids) for part in parts), [part.terms for part in parts]

    def padded(value: Any, fill: int = 0) -> Tensor:
        return functional.pad(value, (0, width - value.shape[-1]), value=fill)  # [..., width]

    def joined(values: list[Any]) -> Any:
        if not isinstance(values[0], Tensor):
            return values[0]
        return torch.cat([padded(value) if value.dim() == 2 else value for value in values])

    stated = [row_terms.negative_log_q.reshape(-1) for row_terms in terms if row_terms.negative_log_q is not None]
    return _Part(
        rows=torch.cat([part.rows for part in parts]),
        ids=torch.stack([padded(part.ids, 1) for part in parts]),
        terms=Terms(
            positive_log_q=joined([row_terms.positive_log_q for row_terms in terms]),
            negative_log_q=torch.stack([padded(log_q) for log_q in stated]) if stated else None,
            valid=torch.cat([padded(row_terms.valid) for row_terms in terms]),
            excluded_log_q=joined([row_terms.excluded_log_q for row_terms in terms]),
            log_n=joined([row_terms.log_n for row_terms in terms]),
        ),
        pool=parts[0].pool,
    )
