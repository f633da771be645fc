"""The logQ correction of the negatives alone."""

from __future__ import annotations

from torch import Tensor

from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses


@losses.register(
    "logq_uncorrected_positive", summary="logQ correction of the negatives only, as some released code has it"
)
class LogQUncorrectedPositive(SampledSoftmaxLoss):
    """`softplus(LSE(s - log Q) - s+)`.

    The baseline that the scripts released with "Correcting the LogQ Correction" (Khrylchenko et al., RecSys 2025)
    run under the name of the old loss. The sum over n draws estimates n times the partition function while the
    positive enters once, so the positive's share is too small by about n and **more** negatives make it worse.

    For the same reason it has no place for items that are scored for certain: neither weight 1 nor n is theirs.

    When to use: to reproduce results of code that corrects the negatives alone; for nothing else.

    Goes with: the sources of `logq`, with accidental hits masked.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> log_q = {"positive_log_q": torch.tensor([0.2]).log(), "negative_log_q": torch.tensor([0.5, 0.3]).log()}
        >>> get_loss("logq_uncorrected_positive")(positive, negatives, **log_q)
        tensor([2.4225])
    """

    name = "logq_uncorrected_positive"
    needs_log_q = True
    hits = "masked"
    takes_certain = False

    def column_offset(self, terms: Terms) -> Tensor | None:
        return self.require("negative_log_q", terms.negative_log_q)

    def row_term(self, terms: Terms, counts: Tensor | None, pool: int) -> Tensor | float:
        return 0.0
