"""The score of a query and an item: dot product or cosine, over a temperature."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from recbole_logq.modules.unit_vectors import unit_vectors

LARGEST_SCALE = 100.0
"""1/T of a learned temperature is kept below it (Radford et al., CLIP, 2021): past it a few pairs make up the loss."""
SMALLEST_SCALE = 1e-4
"""And above it, where the softmax is flat whatever the vectors are."""


class Scorer(nn.Module):
    """Prepares vectors so that their plain dot product is the score.

    The temperature goes into the query, where it costs ``[rows, d]`` instead of ``[rows, pool]`` multiplications, and
    before any log Q is subtracted from the score.

    Args:
        similarity: ``dot`` or ``cosine``.
        temperature: What scores are divided by; with another mode than ``fixed``, at the start.
        mode: ``fixed``; ``learned``, as ``log(1/T)`` with 1/T at most 100; or ``scheduled``, geometrically from
            ``temperature`` to ``end``.
        end: Last temperature of the schedule.
        steps: Applied steps until it is reached.

    Raises:
        ValueError: An argument is out of range or missing.

    Attributes:
        log_scale: The learned parameter, a scalar; only with ``learned``.
        step: Applied steps, int64 buffer; only with ``scheduled``.
    """

    def __init__(
        self,
        similarity: str = "dot",
        temperature: float = 1.0,
        mode: str = "fixed",
        end: float | None = None,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        if similarity not in {"dot", "cosine"}:
            raise ValueError(f"similarity={similarity!r}: dot or cosine")
        if mode not in {"fixed", "learned", "scheduled"}:
            raise ValueError(f"temperature_mode={mode!r}: fixed, learned or scheduled")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: must be above 0")
        if mode == "learned" and temperature * LARGEST_SCALE < 1:
            raise ValueError(f"temperature={temperature}: a learned one starts at {1 / LARGEST_SCALE} or above")
        if (mode == "scheduled") != (end is not None) or (mode == "scheduled") != (steps is not None):
            raise ValueError(
                f"temperature_mode={mode}: scheduled needs temperature_end and temperature_steps, others take neither"
            )
        if mode == "scheduled" and not (end and end > 0 and steps and steps > 0):
            raise ValueError(f"temperature_end={end}, temperature_steps={steps}: both must be above 0")
        self.cosine = similarity == "cosine"
        self.mode, self.start, self.end, self.steps = mode, temperature, end, steps
        if mode == "learned":
            self.log_scale = nn.Parameter(torch.tensor(-math.log(temperature)))
        if mode == "scheduled":
            self.register_buffer("step", torch.zeros((), dtype=torch.int64))

    step: Tensor

    @property
    def temperature(self) -> float:
        """What scores are divided by now."""
        if self.mode == "learned":
            return math.exp(-float(self.log_scale))
        return float(self._scheduled()) if self.mode == "scheduled" else self.start

    def _scheduled(self) -> Tensor:
        # A tensor, so that a step need not ask an accelerator how many there have been.
        assert self.end is not None
        assert self.steps is not None
        ratio = torch.full((), self.end / self.start, dtype=torch.float64, device=self.step.device)
        return self.start * ratio ** (self.step / self.steps).clamp_max(1.0)

    def query(self, vectors: Tensor) -> Tensor:
        """Queries ``[..., d]``, normalised if cosine, divided by the temperature."""
        if self.mode == "fixed":
            if self.cosine:
                return unit_vectors(vectors, 1 / self.start)
            return vectors if self.start == 1.0 else vectors / self.start
        if self.cosine:
            vectors = unit_vectors(vectors)
        return vectors * self.log_scale.exp() if self.mode == "learned" else vectors / self._scheduled()

    def item(self, vectors: Tensor) -> Tensor:
        """Items ``[..., d]``, normalised if cosine."""
        return unit_vectors(vectors) if self.cosine else vectors

    def after_step(self) -> None:
        """Called once after every applied step: the schedule goes on, a learned scale stays in its range."""
        if self.mode == "learned":
            with torch.no_grad():
                self.log_scale.clamp_(math.log(SMALLEST_SCALE), math.log(LARGEST_SCALE))
        if self.mode == "scheduled":
            self.step += 1
