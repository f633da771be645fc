"""The corrected logQ correction, in its softplus form, and its weight per sample."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.losses.terms import Terms
from recbole_logq.probability.log1mexp import log1mexp
from recbole_logq.registry import losses


@losses.register(
    "corrected_logq", summary="logQ correction that knows the positive is not a draw (Khrylchenko et al. 2025)"
)
class CorrectedLogQ(SampledSoftmaxLoss):
    """`softplus(LSE(s - log Q') - log n - s+)` with `Q'(d) = Q(d) / (1 - Q+)`.

    The positive is in the denominator with certainty; only the rest of the partition function is estimated, from
    n draws of the pool's law without the positive (Khrylchenko et al., "Correcting the LogQ Correction", RecSys
    2025). The paper writes it as a cross entropy over the negatives times a weight `w = stopgrad(1 - P(+|u))`; the
    softplus has the same gradient, estimates the full cross entropy and needs no stop-gradient.

    For a pool of distinct ids pass log inclusion probabilities with `excluded_log_q` of -inf and `log_n` of 0
    (Horvitz-Thompson). A row whose excluded mass is 1 has loss 0 and gradient 0.

    Items that a row is scored against for certain stand in the denominator as they are, and the pool estimates what is
    then left: `softplus(logaddexp(LSE_own, LSE(s - log Q') - log n) - s+)` with `Q'(d) = Q(d) / (1 - Q+ - Q_own)`.

    When to use: for large catalogues with a few hundred sampled negatives; the estimate approaches the full softmax as
    n grows.

    Goes with: every source that states its log Q: `in_batch`, `mixed`, `popularity`, `cross_batch`, `streaming`.
    Accidental hits are masked.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> log_q = {"positive_log_q": torch.tensor([0.2]).log(), "negative_log_q": torch.tensor([0.5, 0.3]).log()}
        >>> get_loss("corrected_logq")(positive, negatives, **log_q)
        tensor([1.6311])
    """

    name = "corrected_logq"
    needs_log_q = True
    hits = "masked"

    def column_offset(self, terms: Terms) -> Tensor | None:
        log_q = self.require("negative_log_q", terms.negative_log_q)
        if terms.excluded_log_q is None or terms.excluded_log_q.dim() == 1:
            return log_q  # 1 - Q+ is constant in the row: see row_term
        return log_q - log1mexp(terms.excluded_log_q)

    def row_term(self, terms: Terms, counts: Tensor | None, pool: int) -> Tensor | float:
        log_n = _log_count(counts, pool) if terms.log_n is None else terms.log_n
        if isinstance(log_n, Tensor):
            # log 0 of an empty row: its loss is 0 through the logsumexp, and infinity would undo that.
            log_n = log_n.nan_to_num(neginf=0.0)
        excluded = terms.excluded_log_q
        if excluded is None:
            if terms.log_rest is not None:
                return terms.log_rest - log_n
            excluded = self.require("positive_log_q (or excluded_log_q)", terms.positive_log_q)
        return -log_n if excluded.dim() == 2 else log1mexp(excluded) - log_n

    @staticmethod
    def weight_of(value: Tensor) -> Tensor:
        """The paper's `w = 1 - P(+|u) = 1 - e^-loss`: the estimated probability that the model errs on a row.

        Args:
            value: `[rows]`, losses.

        Returns:
            `[rows]`, detached, between 0 and 1; 0 for a row without valid negatives.
        """
        return -torch.expm1(-value.detach())


def _log_count(counts: Tensor | None, pool: int) -> Tensor | float:
    return math.log(max(pool, 1)) if counts is None else counts.log()
