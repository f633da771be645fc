"""log(1 - e^a), the complement of a probability that is held in log space."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log1mexp(log_p: Tensor) -> Tensor:
    """log(1 - p) from log p, to full relative precision at both ends.

    Each of the two usual formulas is exact at one end and loses everything at the other: `log1p(-e^a)` cancels for
    p near 1, `log(-expm1(a))` rounds to 0 for p near 0. They change over at p = 1/2 (Maechler 2012, "Accurately
    Computing log(1 - exp(-|a|))").

    Args:
        log_p: Any shape, log-probabilities. Values above 0 - a sum of probabilities that rounding carried past 1 -
            count as 0. No gradient is defined at 0; log-probabilities of pools are constants.

    Returns:
        Same shape; -inf where p is 1, 0 where p is 0.
    """
    log_p = log_p.clamp(max=0.0)
    return torch.where(log_p > -math.log(2.0), torch.log(-torch.expm1(log_p)), torch.log1p(-torch.exp(log_p)))
