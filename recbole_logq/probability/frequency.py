"""How often each item is a training target."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from recbole_logq.probability.inclusion import log_inclusion_of_units
from recbole_logq.probability.segments import SegmentFrequency


@dataclass(frozen=True, eq=False)
class TargetCounts:
    """Counts of **training** targets by item id; validation and test interactions must not be in them.

    Args:
        counts: int64 `[n_items]`, number of training targets that are the item. Column 0 is padding and must be 0.
        unit_counts: int64 `[n_items]`, number of batch units that hold the item at least once. A unit is what a
            batch draws independently: an interaction for a two-tower model, a user's window for a sequential one.
            Default: `counts`, which is right where a unit is one interaction.
        n_units: Number of units in an epoch. Default: `counts.sum()`.
        segments: The same counts by segment of the data, where batches are built from one segment each.
        unit_scale: What `unit_counts` and `n_units` are multiplied by, so that averages are whole numbers.

    Raises:
        ValueError: A tensor is not int64 `[n_items]`, is negative or counts the padding item; there is no target at
            all; an item is said to be in more units than there are.
    """

    counts: Tensor
    # The defaults are filled in after construction, so that readers of the fields never meet a None.
    unit_counts: Tensor = None  # type: ignore[assignment]
    n_units: int = None  # type: ignore[assignment]
    segments: SegmentFrequency | None = None
    unit_scale: int = 1

    def __post_init__(self) -> None:
        _check("counts", self.counts)
        if self.unit_counts is None:
            object.__setattr__(self, "unit_counts", self.counts)
        _check("unit_counts", self.unit_counts)
        if self.unit_counts.shape != self.counts.shape:
            raise ValueError(f"unit_counts has {len(self.unit_counts)} items, counts has {len(self.counts)}")
        if self.n_units is None:
            object.__setattr__(self, "n_units", int(self.counts.sum()))
        if self.n_units < int(self.unit_counts.max()):
            raise ValueError(f"an item is in {int(self.unit_counts.max())} units, but n_units is {self.n_units}")

    @property
    def n_items(self) -> int:
        """Length of the id range, padding included: the catalogue has `n_items - 1` items."""
        return len(self.counts)

    def log_frequency(self) -> Tensor:
        """log of the item's share among training targets: float32 `[n_items]`, -inf for a count of zero."""
        counts = self.counts.double()
        return (counts.log() - counts.sum().log()).float()

    def log_unit_frequency(self) -> Tensor:
        """log of the share of units that hold the item: float32 `[n_items]`, -inf for a count of zero."""
        return (self.unit_counts.double() / self.n_units).log().float()

    def log_inclusion(self, n_units_in_batch: int, *, given_row: bool = False, held: bool = False) -> Tensor:
        """log-probability that `n_units_in_batch` units of an epoch hold the item: float32 `[n_items]`.

        Units are drawn without replacement. The positives inside one are no draws of their own: an item occurs at most
        a few times in a user's history, so counting positions as draws would overstate how often popular ones come.

        Args:
            n_units_in_batch: Number of the units.
            given_row: Whether they are drawn from all units but one, that of a row.
            held: Whether that unit, with `given_row`, holds the item itself.

        Raises:
            ValueError: `n_units_in_batch` is smaller than 1.
        """
        units, total = self.unit_counts.double() / self.unit_scale, self.n_units / self.unit_scale
        if held:  # of averages, what is left may be less than one unit, and it is never none where there was one
            units = torch.where(units > 0, (units - 1).clamp_min(1 / self.unit_scale), 0.0)
        return log_inclusion_of_units(units, total - given_row, n_units_in_batch).float()


def _check(name: str, counts: Tensor) -> None:
    if counts.dtype != torch.int64 or counts.dim() != 1 or len(counts) < 2:
        raise ValueError(f"{name} must be int64 [n_items] with n_items >= 2, got {counts.dtype} {list(counts.shape)}")
    if int(counts.min()) < 0:
        raise ValueError(f"{name} must not be negative")
    if int(counts[0]) != 0:
        raise ValueError(f"{name}[0] is {int(counts[0])}: item 0 is padding and cannot be a training target")
    if int(counts.sum()) == 0:
        raise ValueError(f"{name} is zero everywhere: there are no training targets")
