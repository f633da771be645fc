"""Sampled softmax without a correction."""

from __future__ import annotations

from torch import Tensor

from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses


@losses.register(
    "sampled_softmax", summary="softmax over the positive and the pool, no correction for how it was drawn"
)
class SampledSoftmax(SampledSoftmaxLoss):
    """`softplus(LSE(s) - s+)`.

    The cross entropy of the positive among itself and the pool. Its gradient is biased towards whatever the pool
    holds too often: with in-batch negatives popular items are pushed down in proportion to their popularity.

    Items that a row is scored against for certain are candidates like the pool's columns, each once:
    `softplus(logaddexp(LSE_own, LSE(s)) - s+)`. As the pool's weight, theirs follows from no law.

    When to use: with uniform negatives, whose correction is a constant, or as the uncorrected baseline.

    Goes with: `uniform`; `bir` and `xir`, whose draws carry their correction already.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> get_loss("sampled_softmax")(positive, negatives)
        tensor([1.4644])
    """

    name = "sampled_softmax"
    needs_log_q = False
    hits = "masked"

    def column_offset(self, terms: Terms) -> Tensor | None:
        return None

    def row_term(self, terms: Terms, counts: Tensor | None, pool: int) -> Tensor | float:
        return 0.0
