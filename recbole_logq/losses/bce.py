"""Binary cross entropy: every item on its own, the positive against 1, each negative against 0."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.losses.loss import Loss
from recbole_logq.losses.softmax import softplus
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses


@losses.register("bce", summary="binary cross entropy of positive and negatives, mean over both")
class BCE(Loss):
    """`(softplus(-s+) + sum softplus(s-)) / (k + 1)` over the k valid negatives (Kang & McAuley, SASRec, ICDM 2018).

    With graded targets y between 0 and 1, `Terms.positive_target` and `Terms.negative_target`, each item has its cross
    entropy with them, `y softplus(-s) + (1 - y) softplus(s)`; without them positives are 1 and negatives 0.

    It estimates no softmax: scores tend to odds against the pool's own law, and with many negatives the model becomes
    overconfident (Petrov & Macdonald, RecSys 2023; see `gbce`).

    When to use: as SASRec's classic loss, for comparison, or with observed negatives, whose law nobody knows.

    Goes with: `uniform`, `observed` and `impression`. No log Q is read, so popular negatives of an in-batch pool are
    punished.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> get_loss("bce")(positive, negatives)
        tensor([1.1381])
    """

    name = "bce"
    needs_log_q = False
    hits = "masked"
    takes_targets = True

    def score_form(self, positive: Tensor, negatives: Tensor, terms: Terms) -> Tensor:
        mask = terms.mask(self.name, 0, *negatives.shape)
        right, wrong = softplus(-positive), softplus(negatives)
        if (y := terms.positive_target) is not None:
            right = y * right + (1 - y) * softplus(positive)
        if (y := terms.negative_target) is not None:
            wrong = y * softplus(-negatives) + (1 - y) * wrong
        wrong, counts = summed_over_valid(wrong, mask)
        value = (self.positive_weight(counts) * right + wrong) / (counts + 1)
        return torch.where(counts > 0, value, torch.zeros_like(value))

    def positive_weight(self, counts: Tensor) -> Tensor | float:
        """Factor of the positive's part, scalar or `[rows]`, by the number of valid negatives."""
        return 1.0


def summed_over_valid(values: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor]:
    """Sum over the valid columns of `[rows, pool]`, and their number, both floating `[rows]`."""
    if mask is None:
        return values.sum(dim=1), values.new_full((len(values),), values.shape[1])
    return values.masked_fill(~mask, 0.0).sum(dim=1), mask.sum(dim=1).to(values.dtype)
