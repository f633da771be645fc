"""Probability that an item is in a pool at all, for pools of distinct ids."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability.log1mexp import log1mexp

BLOCK_ELEMENTS = 2**20
"""Factors of the products that exist at a time."""


def log_inclusion_of_units(held: Tensor, units: float, n: int) -> Tensor:
    """log of `1 - C(N - U, n) / C(N, n)`: one of n units, drawn from N without replacement, holds an item that U hold.

    The binomials' ratio is the product over the draws of `1 - U / (N - i)`. Its logarithm is a sum without
    cancellation, which keeps its precision for n U far below N and for inclusion near 1 alike; and U and N need not be
    whole numbers, where they are averages.

    Args:
        held: Floating, any shape, U of each item, at least 0.
        units: N, all units.
        n: Units that are drawn; where there are fewer, all are.

    Returns:
        float64, shape of `held`; exactly -inf for U = 0, and 0 where no n units are without the item.

    Raises:
        ValueError: n is smaller than 1.
    """
    if n < 1:
        raise ValueError(f"an inclusion probability needs at least one draw, got n={n}")
    distinct, place = held.double().unique(return_inverse=True)
    log_none = torch.zeros_like(distinct)
    size = max(BLOCK_ELEMENTS // max(len(distinct), 1), 1)
    for first in range(0, n, size):
        draw = torch.arange(first, min(first + size, n), dtype=torch.float64, device=held.device)
        left = (units - draw).clamp_min(1e-300)  # [draws]
        log_none += torch.log1p(-(distinct.unsqueeze(1) / left).clamp_max(1.0)).sum(1)  # [distinct, draws]
    return log1mexp(log_none)[place]
