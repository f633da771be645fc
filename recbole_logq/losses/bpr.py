"""Bayesian personalised ranking: the positive above each negative, pair by pair."""

from __future__ import annotations

from torch import Tensor

from recbole_logq.losses.bce import summed_over_valid
from recbole_logq.losses.loss import Loss
from recbole_logq.losses.softmax import softplus
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses


@losses.register("bpr", summary="the positive above each negative, pair by pair (Rendle et al. 2009)")
class BPR(Loss):
    """`softplus(s - s+)`, averaged over the valid negatives (Rendle et al., UAI 2009).

    It is the pairwise logistic loss, `-log sigmoid(s+ - s)` of each pair (RankNet, Burges et al., ICML 2005), averaged
    over a positive's pairs. It estimates the probability of ordering a pair wrongly under the pool's law, not a
    softmax.

    When to use: as the pairwise baseline, or where only the order of pairs matters, as within an impression.

    Goes with: `uniform`, `observed` and `impression`; with one or a few negatives a row it is the loss of matrix
    factorisation.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> get_loss("bpr")(positive, negatives)
        tensor([0.8937])
    """

    name = "bpr"
    needs_log_q = False
    hits = "masked"

    def score_form(self, positive: Tensor, negatives: Tensor, terms: Terms) -> Tensor:
        mask = terms.mask(self.name, 0, *negatives.shape)
        wrong, counts = summed_over_valid(softplus(negatives - positive.unsqueeze(1)), mask)
        return wrong / counts.clamp(min=1)
