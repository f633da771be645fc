"""Cross entropy over the whole catalogue."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.losses.catalogue_logsumexp import catalogue_logsumexp
from recbole_logq.losses.loss import Loss
from recbole_logq.losses.score_logsumexp import MASKED_SCORE, score_logsumexp
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses


@losses.register("full_softmax", summary="exact cross entropy over all items, computed tile by tile")
class FullSoftmax(Loss):
    """`LSE over the catalogue - s+`; the columns are all items but the padding, the row's positive among them.

    On vectors it is exact and blockwise, forward and backward: memory grows with rows and with the catalogue, never
    with their product. `valid` may leave columns out; log-probabilities are ignored.

    When to use: up to some 20,000 items, and as the reference that sampled losses are measured against.

    Goes with: `catalogue` alone: its columns are all items.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> scores = torch.tensor([[1.0, 0.5, 2.0]])  # of the whole catalogue; the positive is its first item
        >>> get_loss("full_softmax")(scores[:, 0], scores)
        tensor([1.4644])
    """

    name = "full_softmax"
    needs_log_q = False
    hits = "catalogue"
    over_catalogue = True
    takes_kernel = True

    def score_form(self, positive: Tensor, negatives: Tensor, terms: Terms) -> Tensor:
        lse, _ = score_logsumexp(negatives, None, terms.mask(self.name, 0, *negatives.shape))
        return _cross_entropy(lse, positive)

    def vector_form(
        self, query: Tensor, positive: Tensor, pool_vectors: Tensor, terms: Terms, block_rows: int
    ) -> Tensor:
        lse = catalogue_logsumexp(query, pool_vectors, terms, self.name, block_rows, self.kernel)
        return _cross_entropy(lse, (query * positive).sum(dim=1))


def _cross_entropy(lse: Tensor, positive: Tensor) -> Tensor:
    empty = lse < MASKED_SCORE / 2
    return torch.where(empty, torch.zeros_like(lse), lse - positive)
