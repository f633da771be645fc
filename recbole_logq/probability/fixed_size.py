"""Inclusion probabilities of pools of a fixed size."""

from __future__ import annotations

import torch
from torch import Tensor


def inclusion_of_size(q: Tensor, n: int) -> Tensor:
    """`pi = min(1, c q)` with c such that they add up to n: what reaches 1 is in for certain, the rest shares the rest.

    Args:
        q: float64 `[items]`, a proposal, at least 0.
        n: Size of the pool.

    Returns:
        float64 `[items]`; exactly 1 for items that are in for certain.

    Raises:
        ValueError: There are not n items with q above 0.
    """
    if n < 1 or int((q > 0).sum()) < n:
        raise ValueError(f"{n} distinct items cannot be drawn from {int((q > 0).sum())}")
    share, rank = q.sort(descending=True)
    # With the k largest in for certain, the next one's pi is (n - k) q / (sum of all from it on).
    rest = share.flip(0).cumsum(0).flip(0)
    k = torch.arange(len(q), device=q.device)
    certain = ((n - k) * share >= rest) & (k < n)
    n_certain = int(certain.long().cumprod(0).sum())
    pi = torch.zeros_like(q)
    if n_certain < n:
        pi[rank[n_certain:]] = (n - n_certain) * share[n_certain:] / rest[n_certain]
    pi[rank[:n_certain]] = 1.0
    return pi
