"""Drawing columns of a shared pool once more, for every row by its own weights."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.transfer import to_device


def draw_counts(log_weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """How often each column comes up in n draws with replacement.

    Args:
        log_weight: `[rows, pool]`, unnormalised; -inf for columns that are never drawn.
        n: Draws per row.
        generator: Random generator on the CPU.

    Returns:
        `[rows, pool]`, floating; zeros in rows where no column can be drawn.
    """
    rows, pool = log_weight.shape
    if not rows or not pool:
        return torch.zeros_like(log_weight)
    peak = log_weight.amax(dim=1, keepdim=True)
    weight = (log_weight - peak.masked_fill(peak.isneginf(), 0.0)).exp()
    cumulative = weight.cumsum(dim=1)
    total = cumulative[:, -1:]
    # n sorted uniform numbers are the partial sums of n + 1 exponential ones over the whole sum (Devroye 1986, V.2.3),
    # and sorted numbers are counted between the columns' bounds: no sort, and nothing is gathered or scattered.
    gaps = -torch.log1p(-torch.rand(rows, n + 1, generator=generator))
    # Above 0, so that no number falls on a leading column of weight 0.
    sums = gaps.clamp_min_(torch.finfo(gaps.dtype).tiny).cumsum(dim=1)
    sums = to_device(sums, log_weight.device).to(log_weight.dtype)
    points = (sums[:, :-1] / sums[:, -1:]).contiguous()
    below = torch.searchsorted(points, cumulative / total.clamp_min(1e-30), right=True, out_int32=True)
    return below.diff(dim=1, prepend=torch.zeros_like(below[:, :1])).to(log_weight.dtype) * (total > 0)
