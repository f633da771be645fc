"""The textbook logQ correction, positive included."""

from __future__ import annotations

from torch import Tensor

from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses


@losses.register("logq", summary="logQ correction of negatives and positive (Yi et al. 2019); accidental hits stay")
class LogQ(SampledSoftmaxLoss):
    """`softplus(LSE(s - log Q) - (s+ - log Q+))`.

    A batch softmax whose every logit, the positive's too, is lowered by log Q (Yi et al., "Sampling-Bias-Corrected
    Neural Modeling for Large Corpus Item Recommendations", RecSys 2019, section 3; Bengio & Senecal, AISTATS 2003).
    It treats the positive as one more draw of the pool, so copies of it among the draws must stay: masked, the
    negatives stand for less than the partition function and the bias no longer falls to 0 with n.

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

    def row_term(self, terms: Terms, counts: Tensor | None, pool: int) -> Tensor | float:
        return self.require("positive_log_q", terms.positive_log_q)
