"""The textbook logQ correction, positive included."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.losses.terms import Terms
from recbole_logq.probability.log1mexp import log1mexp
from recbole_logq.registry import losses


@losses.register("logq", summary="logQ correction of negatives and positive (Yi et al. 2019); accidental hits stay")
class LogQ(SampledSoftmaxLoss):
    """`softplus(LSE(s - log Q) - (s+ - log Q+))`.

    A batch softmax whose every logit, the positive's too, is lowered by log Q (Yi et al., "Sampling-Bias-Corrected
    Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, section 3; Bengio & Senecal, AISTATS 2003).
    It treats the positive as one more draw of the pool, so copies of it among the draws must stay: masked, the
    negatives stand for less than the partition function and the bias no longer falls to 0 with n.

    Items that a row is scored against for certain are no draws: the law of the draws, and of the positive among them,
    is `Q'(d) = Q(d) / (1 - Q_own)`, positive not excluded. The n draws and the positive together stand for n + 1
    times the rest of the partition function, so the certain items count n + 1 times:
    `softplus(logaddexp(LSE_own + log(n + 1), LSE(s - log Q')) - (s+ - log Q'+))`.

    A positive with Q+ = 0 (log Q+ of -inf) has loss 0: under the form's own premise it could not have been drawn.

    When to use: as the industry's standard correction of in-batch negatives.

    Goes with: every source that states its log Q, with accidental hits kept.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> log_q = {"positive_log_q": torch.tensor([0.2]).log(), "negative_log_q": torch.tensor([0.5, 0.3]).log()}
        >>> get_loss("logq")(positive, negatives, **log_q)
        tensor([1.1167])
    """

    name = "logq"
    needs_log_q = True
    hits = "kept"

    def column_offset(self, terms: Terms) -> Tensor | None:
        return self.require("negative_log_q", terms.negative_log_q)

    def denominator(self, lse: Tensor, terms: Terms, counts: Tensor | None, pool: int) -> Tensor:
        """As `SampledSoftmaxLoss.denominator`; the renormalisation, in the draws and the positive alike, cancels."""
        if terms.certain is None:
            return lse + self.row_term(terms, counts, pool)
        log_draws = math.log(pool + 1) if counts is None else counts.log1p()
        certain = terms.certain + log_draws
        if terms.excluded_log_q is not None:
            if terms.excluded_log_q.dim() == 2:
                raise ValueError(f"loss {self.name!r} with certain items needs one law of all columns")
            certain = certain - log1mexp(terms.excluded_log_q).nan_to_num(neginf=0.0)
        return torch.logaddexp(lse, certain) + self.row_term(terms, counts, pool)

    def row_term(self, terms: Terms, counts: Tensor | None, pool: int) -> Tensor | float:
        return self.require("positive_log_q", terms.positive_log_q)
