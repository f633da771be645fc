"""What the sampled-softmax losses share: `softplus(logsumexp(negatives) + row term - positive)`, with certain items."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor
from torch.nn import functional

from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.fused_logsumexp import fused_logsumexp, kernel_serves
from recbole_logq.losses.loss import Loss
from recbole_logq.losses.pool_logsumexp import pool_logsumexp
from recbole_logq.losses.pools_logsumexp import pools_logsumexp
from recbole_logq.losses.precision import no_autocast, working_dtype
from recbole_logq.losses.score_logsumexp import score_logsumexp
from recbole_logq.losses.terms import Terms


class SampledSoftmaxLoss(Loss):
    """Base of the family. A member says what is subtracted per column and what is added per row.

    Everything that is constant in a row stays out of the logsumexp: a pass over [rows, pool] is what costs.
    """

    takes_counts = True
    takes_certain = True
    takes_kernel = True

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
        lse, counts = pool_logsumexp(query, pool_vectors, offset, terms, self.name, block_rows, self.kernel)
        return self._combined(lse, counts, (query * positive).sum(dim=1), terms, len(pool_vectors))

    def from_pools(self, query: Tensor, positive: Tensor, pool_vectors: Tensor, terms: Terms) -> tuple[Tensor, Tensor]:
        """The loss of every row from several pools at once; as `from_vectors` on each pool and its rows.

        Args:
            query: `[pools, rows, d]`, already divided by the temperature.
            positive: `[pools, rows, d]`, vector of each row's positive item.
            pool_vectors: `[pools, n, d]`.
            terms: `positive_log_q` and, where it is at hand, `log_rest`, `[pools * rows]`, `negative_log_q`,
                `[pools, n]`, and as `valid` a `ColumnMask` of all pools.

        Returns:
            The losses, and the number of valid columns, both `[pools * rows]` and of one floating type.
        """
        dtype = working_dtype(query, positive, pool_vectors)
        mask, law = terms.valid, (terms.positive_log_q, terms.negative_log_q, terms.log_rest)
        assert isinstance(mask, ColumnMask)
        positive_log_q, negative_log_q, log_rest = (None if part is None else part.detach().to(dtype) for part in law)
        terms = Terms(positive_log_q, negative_log_q, mask, log_rest=log_rest)
        with no_autocast(query):
            query, positive, pool_vectors = query.to(dtype), positive.to(dtype), pool_vectors.to(dtype)
            offset = self.column_offset(terms)
            if kernel_serves(self.kernel, query, terms, self.name):
                lse, counts = fused_logsumexp(query.flatten(0, 1), pool_vectors, offset, mask)
            else:
                lse, counts = pools_logsumexp(query, pool_vectors, offset, mask.invalid_by_pool())
            score, counts = torch.linalg.vecdot(query, positive).flatten(), counts.flatten().to(dtype)
            return self._combined(lse.flatten(), counts, score, terms, pool_vectors.shape[1]), counts

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
