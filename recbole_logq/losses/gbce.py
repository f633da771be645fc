"""Generalised binary cross entropy: BCE that takes back what negative sampling does to confidence."""

from __future__ import annotations

from torch import Tensor

from recbole_logq.losses.bce import BCE
from recbole_logq.registry import losses


@losses.register("gbce", summary="BCE with the positive's probability raised to beta (Petrov & Macdonald 2023)")
class GBCE(BCE):
    """`(beta softplus(-s+) + sum softplus(s-)) / (k + 1)`.

    With the sampling rate `a = k / (C - 1)`, `beta = a (t (1 - 1/a) + 1/a)`: t = 0 is plain BCE, t = 1 makes the
    positives' scores those of training without sampling (gSASRec, RecSys 2023, section 5). For uniform negatives.

    When to use: with many uniform negatives a row, where plain BCE becomes overconfident.

    Goes with: `uniform`: the calibration knows the sampling rate, not the law of another source.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> positive, negatives = torch.tensor([1.0]), torch.tensor([[0.5, 2.0]])
        >>> get_loss("gbce", catalogue_size=100, t=0.75)(positive, negatives)
        tensor([1.0614])

    Args:
        catalogue_size: C, number of items without padding.
        t: Calibration between 0 and 1.

    Raises:
        ValueError: An argument is out of range.
    """

    name = "gbce"
    takes_targets = False
    needs_catalogue_size = True

    def __init__(self, catalogue_size: int, t: float = 0.75) -> None:
        if catalogue_size < 2:
            raise ValueError(f"loss 'gbce': catalogue_size must be at least 2, got {catalogue_size}")
        if not 0 <= t <= 1:
            raise ValueError(f"loss 'gbce': t must be between 0 and 1, got {t}")
        self.catalogue_size, self.t = catalogue_size, t

    def positive_weight(self, counts: Tensor) -> Tensor:
        """beta; a (t (1 - 1/a) + 1/a) = a t + 1 - t, which needs no division."""
        rate = (counts / (self.catalogue_size - 1)).clamp(max=1.0)
        return rate * self.t + (1 - self.t)
