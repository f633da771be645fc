"""What the sampled-softmax losses share: `softplus(logsumexp(negatives) + row term - positive)`, with certain items."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from recbole_logq.losses.loss import Loss
from recbole_logq.losses.pool_logsumexp import pool_logsumexp
from recbole_logq.losses.score_logsumexp import score_logsumexp
from recbole_logq.losses.terms import Terms


class SampledSoftmaxLoss(Loss):
    """Base of the family. A member says what is subtracted per column and what is added per row.

    Everything that is constant in a row stays out of the logsumexp: a pass over [rows, pool] is what costs.
    """

    takes_counts = True
    takes_certain = True

    @abstractmethod
    def column_offset(self, terms: Terms) -> Tensor | None:
        """Subtracted from the negatives' scores: `[pool]` or `[rows, pool]`, None for nothing."""

    @abstractmethod
    def row_term(self, terms: Terms, counts: Tensor | None, pool: int) -> Tensor | float:
        """Added to the logsumexp, scalar or `[rows]`.

        Args:
            terms: What the loss was called with.
            counts: Floating `[rows]`, number of valid columns of each row; None if all `pool` columns are valid.
            pool: Number of columns.
        """

    def denominator(self, lse: Tensor, terms: Terms, counts: Tensor | None, pool: int) -> Tensor:
        """log of what stands beside the positive's exponential, `[rows]`: the pool's part, and the certain items'.

        Args:
            lse: `[rows]`, logsumexp of the pool's columns.
            terms: What the loss was called with.
            counts: As in `row_term`.
            pool: As in `row_term`.
        """
        drawn = lse + self.row_term(terms, counts, pool)
        return drawn if terms.certain is None else torch.logaddexp(drawn, terms.certain)

    def score_form(self, positive: Tensor, negatives: Tensor, terms: Terms) -> Tensor:
        mask = terms.mask(self.name, 0, *negatives.shape)
        lse, counts = score_logsumexp(negatives, self._offset(terms, negatives.dtype), mask)
        return self._combined(lse, counts, positive, terms, negatives.shape[1])

    def vector_form(
        self, query: Tensor, positive: Tensor, pool_vectors: Tensor, terms: Terms, block_rows: int
    ) -> Tensor:
        offset = self._offset(terms, query.dtype)
        lse, counts = pool_logsumexp(query, pool_vectors, offset, terms, self.name, block_rows)
        return self._combined(lse, counts, (query * positive).sum(dim=1), terms, len(pool_vectors))

    def _combined(self, lse: Tensor, counts: Tensor | None, positive: Tensor, terms: Terms, pool: int) -> Tensor:
        # In the working precision: the log of an int32 would come out as float32, also beside float64 scores.
        counts = None if counts is None else counts.to(lse.dtype)
        losses = softplus(self.denominator(lse, terms, counts, pool) - positive)
        return losses if terms.shares is None else losses + terms.shares.rows.to(losses.dtype)

    def _offset(self, terms: Terms, dtype: torch.dtype) -> Tensor | None:
        offset = self.column_offset(terms)
        if terms.shares is None:
            return offset
        added = terms.shares.columns.to(dtype)
        return -added if offset is None else offset - added


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), exact in float64 too: torch goes linear at 20 by default, which is off by 2e-9."""
    return functional.softplus(x, threshold=40.0)
