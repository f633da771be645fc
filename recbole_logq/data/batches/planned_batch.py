"""A training batch of fixed shapes that is not made yet: what a captured step reads, and how to make a batch of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch import Tensor


@dataclass(frozen=True)
class PlannedBatch:
    """Sizes and places on the model's device; the columns are looked up when the step runs, inside of its capture.

    Args:
        plan: int64, of one shape for all planned batches of a loader.
        n_positives: Training targets in the batch.
        make: Function from a plan to the batch.
    """

    plan: Tensor
    n_positives: int
    make: Callable[[Tensor], Any]
