"""What a training epoch did, collected at almost no cost: positives, negatives, dropped rows, sample weights."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.ranks import sum_over_ranks

_BINS = 1000


class StepStatistics:
    """Sums over the steps of one epoch.

    Attributes:
        positives: Rows trained on.
        dropped: Rows without a valid negative, left out of the mean.
    """

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Start an epoch."""
        self.positives = 0
        self.dropped = torch.zeros((), dtype=torch.int64)
        self._columns = 0
        self._steps = 0
        self._histogram = torch.zeros(_BINS)
        self._sum = torch.zeros(())

    def add(self, rows: int, dropped: Tensor, negatives: int) -> None:
        """Count one step."""
        self.positives += rows
        self.dropped = dropped + self.dropped if self._steps else dropped
        self._columns += negatives
        self._steps += 1

    def sum_over_ranks(self) -> None:
        """Take in what the other processes of a distributed run have counted; a collective call."""
        device = self.dropped.device
        self.positives = int(sum_over_ranks(torch.tensor(self.positives, device=device)))
        sum_over_ranks(self.dropped)
        self._histogram, self._sum = (sum_over_ranks(held.to(device)) for held in (self._histogram, self._sum))

    @property
    def negatives(self) -> float:
        """Pool columns of a step, on average."""
        return self._columns / max(self._steps, 1)

    def add_weights(self, weights: Tensor, counted: Tensor) -> None:
        """Count one step's sample weights, ``[rows]`` in [0, 1], of the rows that count, bool ``[rows]``."""
        weights, share = weights.detach().float(), counted.float()
        bins = (weights * _BINS).long().clamp_(0, _BINS - 1)
        if self._histogram.device != weights.device:  # at the first step
            self._histogram, self._sum = torch.zeros(_BINS, device=weights.device), weights.new_zeros(())
        self._histogram.index_add_(0, bins, share)
        self._sum += (weights * share).sum()

    def weights(self) -> dict[str, float]:
        """Mean and deciles (to 1/1000) of the epoch's sample weights; empty when none were counted."""
        total = float(self._histogram.sum())
        if not total:
            return {}
        cumulative = self._histogram.cumsum(0).cpu()
        targets = torch.arange(1, 10) / 10 * total
        deciles = torch.searchsorted(cumulative, targets) / _BINS
        mean = float(self._sum) / total
        return {"mean": mean, **{f"d{10 * (i + 1)}": float(value) for i, value in enumerate(deciles)}}
