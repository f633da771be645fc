"""Probability that an item is in a pool at all, for pools of distinct ids."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability.log1mexp import log1mexp


def log_inclusion_of_draws(log_p: Tensor, n: int | Tensor) -> Tensor:
    """log of `1 - (1 - p)^n`: an item of probability p shows up at least once in n independent draws.

    Both powers stay in log space, so nothing cancels for n p far below 1 (the result tends to log n + log p) and
    nothing saturates early for n p far above 1.

    Args:
        log_p: Any shape, log-probability of the item in one draw; -inf for an item that is never drawn.
        n: Number of draws, at least 1.

    Returns:
        Same shape and floating type as `log_p`; exactly -inf for p = 0 and 0 for p = 1.

    Raises:
        ValueError: n is smaller than 1.
    """
    if bool((torch.as_tensor(n) < 1).any()):
        raise ValueError(f"an inclusion probability needs at least one draw, got n={n}")
    return log1mexp(n * log1mexp(log_p))
