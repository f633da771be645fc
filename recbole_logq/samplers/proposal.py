"""Proposals that are made of counts: how items share the columns of a pool of distinct ids."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts

START = 0.75
"""Power of the frequency that "popularity" is by default, and that a learned proposal starts at."""


def counted_proposal(counts: TargetCounts, name: str, alpha: float = START, uniform_share: float = 0.5) -> Tensor:
    """q of "frequency", "popularity" (frequency to the power of alpha) or "mixture" (with uniform).

    Returns:
        float64 `[n_items]`, adds up to 1, 0 for padding.
    """
    if name == "popularity":
        weight = (alpha * counts.counts.double().log()).softmax(dim=0)
        return torch.where(counts.counts > 0, weight, 0.0)
    frequency = counts.counts.double() / counts.counts.sum()
    return frequency if name == "frequency" else with_uniform(frequency, uniform_share)


def with_uniform(q: Tensor, share: float) -> Tensor:
    """`(1 - share) q + share / C`, `[n_items]`; 0 for padding, which stands first."""
    mixed = (1 - share) * q
    mixed += share / (len(q) - 1)
    mixed[0] = 0.0
    return mixed
