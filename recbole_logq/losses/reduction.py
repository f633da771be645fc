"""Reduction of one value per row to the number that is minimised."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.ranks import sum_over_ranks, world_size


def mean_over_rows(values: Tensor, counted: Tensor | None = None, weights: Tensor | None = None) -> Tensor:
    """Mean over the rows that count, weighted if asked for, over all processes of a distributed run.

    Where several processes run, gradients are averaged over ranks (as DistributedDataParallel does), so each rank
    gives its local sum times the number of ranks over the global number of rows: ranks together then have the gradient
    of one process on the global batch, also where their numbers of rows differ.

    Args:
        values: `[rows]`, losses.
        counted: bool `[rows]`, rows that count. Default: all.
        weights: Floating `[rows]`, at least 0. A weight is about the loss and never enters Q.

    Returns:
        A scalar; 0 where nothing counts.
    """
    if weights is None:
        counted = torch.ones_like(values, dtype=torch.bool) if counted is None else counted
        scale = sum_over_ranks(counted.sum(dtype=values.dtype)).reciprocal().nan_to_num_(posinf=0.0)
        mean = values.sum() * scale  # rows that do not count are 0
        return mean if world_size() == 1 else mean * world_size()
    share = weights.to(values.dtype)
    share = share if counted is None else share * counted
    total = sum_over_ranks(share.sum().detach())
    scale = world_size() / total.clamp_min(torch.finfo(total.dtype).tiny)
    return (values * share).sum() * torch.where(total > 0, scale, 0.0)
