"""Frequencies of training targets inside segments of the data, for batches that are built from one segment each."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SegmentFrequency(nn.Module):
    """Share of a segment's training targets that are an item; memory grows with the (segment, item) pairs that occur.

    Batches built per region, per country or per day hold what is popular *there*: the share among all targets would
    describe a batch that never was.

    Args:
        segments: int64 `[targets]`, the segment of each training target.
        items: int64 `[targets]`.
        n_items: Number of items with padding; ids are below it.

    Raises:
        ValueError: The two do not fit together.
    """

    keys: Tensor
    log_share: Tensor

    def __init__(self, segments: Tensor, items: Tensor, n_items: int) -> None:
        super().__init__()
        if segments.shape != items.shape or segments.dtype != torch.int64 or items.dtype != torch.int64:
            raise ValueError("segments and items must be int64 [targets]")
        self.n_items = n_items
        keys, counts = torch.unique(segments * n_items + items, return_counts=True)
        owner = torch.div(keys, n_items, rounding_mode="floor")
        totals = torch.zeros(int(owner.max()) + 1 if len(owner) else 0, dtype=torch.float64)
        totals.index_add_(0, owner, counts.double())
        self.register_buffer("keys", keys, persistent=False)
        self.register_buffer("log_share", (counts.double() / totals[owner]).log().float(), persistent=False)

    def log_share_of(self, ids: Tensor, segment: int | Tensor) -> Tensor:
        """log of the items' shares in a segment: float32, shape of `ids`; -inf where it has no such target."""
        keys = segment * self.n_items + ids
        place = torch.searchsorted(self.keys, keys).clamp_max(len(self.keys) - 1)
        missing = torch.full_like(self.log_share[place], -torch.inf)
        return torch.where(self.keys[place] == keys, self.log_share[place], missing)
