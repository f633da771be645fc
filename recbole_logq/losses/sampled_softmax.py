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
    """

    name = "sampled_softmax"
    needs_log_q = False
    hits = "masked"

    def column_offset(self, terms: Terms) -> Tensor | None:
        return None

    def row_term(self, terms: Terms, counts: Tensor | None, pool: int) -> Tensor | float:
        return 0.0
