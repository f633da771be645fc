"""Inclusion probabilities of pools of a fixed size."""

from __future__ import annotations

import torch
from torch import Tensor


def inclusion_of_size(q: Tensor, n: int) -> Tensor:
    """`pi = min(1, c q)` with c such that they add up to n: what reaches 1 is in for certain, the rest shares the rest.

    The work is one pass over the items, and an accelerator is not waited for.

    Args:
        q: float64 `[items]`, a proposal, at least 0.
        n: Size of the pool.

    Returns:
        float64 `[items]`; exactly 1 for items that are in for certain.

    Raises:
        ValueError: There are not n items with q above 0; on an accelerator only where there are not n items.
    """
    most = len(q) if q.device.type != "cpu" else int(q.count_nonzero())
    if n < 1 or most < n:
        raise ValueError(f"{n} distinct items cannot be drawn from {most}")
    share, item = q.topk(n)  # no other item can be in for certain
    tail = q.index_fill(0, item, 0.0).sum()
    # With the k largest in for certain, the next one's pi is (n - k) q / (sum of all from it on).
    rest = share.flip(0).cumsum(0).flip(0) + tail
    left = n - torch.arange(n, device=q.device)
    certain = (left * share >= rest).long().cumprod(0).bool()
    # The last factor is the first one that is below: 0 where all n are certain.
    factor = torch.where(certain, 0.0, left / rest).amax()
    pi = (q * factor).clamp_max_(1.0)
    return pi.index_copy_(0, item, torch.where(certain, 1.0, share * factor))
