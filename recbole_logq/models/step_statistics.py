"""What a training epoch did, collected at almost no cost: positives, negatives, dropped rows, sample weights."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from recbole_logq.ranks import sum_over_ranks

EVERY = 10
"""Steps of which one counts its sample weights: a tenth of an epoch's rows has the same mean and deciles, to what is
logged of them, for a tenth of the work."""
_BINS = 1000
_UNIT = 2**24
"""Weights are added up in whole numbers of 1 / _UNIT, to which those of single precision above one half are exact.

Single precision stops counting at 2^24 rows and not every accelerator has a double; whole numbers of 64 bits hold 2^39
rows, and their sum is the same in any order, on any device and in any number of processes.
"""


class StepStatistics:
    """Sums over the steps of one epoch.

    Args:
        weight_of: Function from losses to sample weights, both ``[rows]``; None for a loss without them.

    Attributes:
        positives: Rows trained on.
        dropped: Rows without a valid negative, left out of the mean.
    """

    def __init__(self, weight_of: Callable[[Tensor], Tensor] | None = None) -> None:
        self.weight_of = weight_of
        self.reset()

    def reset(self) -> None:
        """Start an epoch."""
        self.positives = 0
        self.dropped = torch.zeros((), dtype=torch.int64)
        self._columns: int | Tensor = 0
        self._steps = 0
        self._kept: tuple[Tensor, Tensor, Tensor | None] | None = None
        self._histogram = torch.zeros(_BINS, dtype=torch.int64)
        self._sum = torch.zeros((), dtype=torch.int64)
        self._losses: Tensor | None = None

    def add(self, rows: int, dropped: Tensor, negatives: int | Tensor) -> None:
        """Count one step."""
        self.positives += rows
        self.dropped = dropped + self.dropped if self._steps else dropped
        self._columns = self._columns + negatives
        self._steps += 1

    def keep(self, values: Tensor, counted: Tensor, weights: Tensor | None = None) -> None:
        """Hold on to what a step of fixed shapes has made: `add_kept` counts it, outside of a captured step.

        Args:
            values: Losses, ``[rows]``.
            counted: Rows that count, bool ``[rows]``.
            weights: Weights of the rows, floating ``[rows]``; None for rows that count alike.
        """
        self._kept = values.detach(), counted, weights

    def add_kept(self, positives: int, negatives: int) -> None:
        """Count what the latest step has left; a replay of a captured step writes to the same memory.

        Args:
            positives: Rows that are no padding.
            negatives: Pool columns.
        """
        assert self._kept is not None
        values, counted, weights = self._kept
        self.add(positives, positives - counted.sum(), negatives)
        self.add_losses(values, counted, weights)

    def sum_over_ranks(self) -> None:
        """Take in what the other processes of a distributed run have counted; a collective call."""
        device = self.dropped.device
        self.positives = int(sum_over_ranks(torch.tensor(self.positives, device=device)))
        sum_over_ranks(self.dropped)
        if self._losses is not None:
            sum_over_ranks(self._losses)
        self._histogram, self._sum = (sum_over_ranks(counts.to(device)) for counts in (self._histogram, self._sum))

    def add_losses(self, values: Tensor, counted: Tensor, weights: Tensor | None = None) -> None:
        """Count one step's losses, ``[rows]``, of the rows that count, bool ``[rows]``, by their weights.

        Every tenth step counts sample weights too, where the loss has such.
        """
        # In double precision: in single, a sum over millions of steps no longer takes in the loss of one.
        share = counted.double() if weights is None else weights.double() * counted
        sums = torch.stack([(values.detach().double() * share).sum(), share.sum()])
        self._losses = sums if self._losses is None else self._losses + sums
        if self.weight_of is not None and self._steps % EVERY == 1 % EVERY:
            self.add_weights(self.weight_of(values), counted)

    @property
    def loss(self) -> float:
        """Mean loss of the epoch's rows by their weights, however they were split into steps; 0 where none counts."""
        total, weight = (0.0, 0.0) if self._losses is None else self._losses.tolist()
        return total / weight if weight else 0.0

    @property
    def rows(self) -> float:
        """Rows of a step in all processes together, on average."""
        return self.positives / max(self._steps, 1)

    @property
    def negatives(self) -> float:
        """Pool columns of a step, on average."""
        return float(self._columns) / max(self._steps, 1)

    def add_weights(self, weights: Tensor, counted: Tensor) -> None:
        """Count one step's sample weights, ``[rows]`` in [0, 1], of the rows that count, bool ``[rows]``."""
        weights, number = weights.detach().float(), counted.long()
        bins = (weights * _BINS).long().clamp_(0, _BINS - 1)
        if self._histogram.device != weights.device:  # at the first step
            empty = torch.zeros(_BINS + 1, dtype=torch.int64, device=weights.device)
            self._histogram, self._sum = empty[:-1], empty[-1]
        self._histogram.index_add_(0, bins, number)
        self._sum += ((weights * _UNIT).round().long() * number).sum()

    def weights(self) -> dict[str, float]:
        """Mean and deciles (to 1/1000) of the epoch's sample weights; empty when none were counted."""
        cumulative = self._histogram.cpu().cumsum(0)
        total = int(cumulative[-1])
        if not total:
            return {}
        targets = torch.arange(1, 10, dtype=torch.float64) / 10 * total
        deciles = torch.searchsorted(cumulative.double(), targets).double() / _BINS
        mean = int(self._sum) / (_UNIT * total)
        return {"mean": mean, **{f"d{10 * (i + 1)}": float(value) for i, value in enumerate(deciles)}}
