"""Drawing columns of a shared pool once more, for every row by its own weights."""

from __future__ import annotations

import torch
from torch import Tensor


def draw_counts(log_weight: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """How often each column comes up in n draws with replacement.

    Args:
        log_weight: `[rows, pool]`, unnormalised; -inf for columns that are never drawn.
        n: Draws per row.
        generator: On the CPU.

    Returns:
        `[rows, pool]`, floating; zeros in rows where no column can be drawn.
    """
    rows, pool = log_weight.shape
    counts = torch.zeros_like(log_weight)
    if not rows or not pool:
        return counts
    peak = log_weight.amax(dim=1, keepdim=True)
    weight = (log_weight - peak.masked_fill(peak.isneginf(), 0.0)).exp()
    cumulative = weight.cumsum(dim=1)
    total = cumulative[:, -1:]
    point = torch.rand(rows, n, generator=generator).to(log_weight.device, log_weight.dtype) * total
    # A product that rounds up to the total would fall behind the last column that has any weight.
    point = torch.minimum(point, torch.nextafter(total, torch.zeros_like(total)))
    drawn = torch.searchsorted(cumulative, point, right=True).clamp_max(pool - 1)
    counts.scatter_add_(1, drawn, torch.ones_like(point))
    return counts * (total > 0)
