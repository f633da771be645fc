"""A model's mean softmax probability of each item, followed from the columns of its pools."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

SMALLEST = 2.0**-40
"""Stored numbers are multiplied out before the factor that they share gets smaller."""


class RunningMass(nn.Module):
    """`m <- (1 - rate) m + rate estimate`, where the estimate is 0 for an item that the step's pool does not hold.

    An item that a pool holds with probability pi and that then counts p / pi counts p on average (Horvitz and Thompson,
    1952), so the running mean is that of the probabilities themselves. All items fade by a factor that they share and
    that is written beside them: a step's work is that of its pool, not of the catalogue.

    Args:
        start: Floating `[n_items]`, m before the first step, at least 0 and 0 for padding.
        rate: Weight of a step, above 0 and below 1.

    Raises:
        ValueError: `rate` is out of range.

    Buffers:
        mass: float32 `[n_items]`, m over the factor.

    Attributes:
        factor: The factor, in `state_dict`.
    """

    mass: Tensor

    def __init__(self, start: Tensor, *, rate: float) -> None:
        super().__init__()
        if not 0 < rate < 1:
            raise ValueError(f"running mean: the rate must be between 0 and 1, got {rate}")
        self.rate, self.factor = rate, 1.0
        self.register_buffer("mass", start.float())

    def add(self, estimates: Iterable[tuple[Tensor, Tensor]]) -> None:
        """Take in one step.

        Args:
            estimates: Items, int64 `[n]` without repeats, and their estimated probabilities, floating `[n]`; several
                parts add up.
        """
        self.factor *= 1 - self.rate
        if self.factor < SMALLEST:
            self._multiply_out()
        for ids, estimate in estimates:
            # Gradients that overflowed are no estimate.
            known = torch.where(estimate.isfinite(), estimate, 0.0).clamp_min(0.0).to(self.mass.dtype)
            self.mass.index_add_(0, ids.to(self.mass.device), known.to(self.mass.device), alpha=self.rate / self.factor)

    def value(self) -> Tensor:
        """m, float32 `[n_items]`."""
        self._multiply_out()
        return self.mass

    def _multiply_out(self) -> None:
        self.mass.mul_(self.factor)
        self.factor = 1.0

    def get_extra_state(self) -> dict[str, Any]:
        """The factor, for the checkpoint."""
        return {"factor": self.factor}

    def set_extra_state(self, state: Any) -> None:
        """Continue from a checkpoint.

        Raises:
            ValueError: The factor is none.
        """
        factor = state["factor"]
        if not isinstance(factor, float) or not 0 < factor <= 1:
            raise ValueError(f"factor={factor!r} is no factor of a running mean")
        self.factor = factor
