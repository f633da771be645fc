"""The hour and the weekday at which a request is made, as vectors; torch only."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

PARTS = {"hour": (3_600.0, 24, 0), "weekday": (86_400.0, 7, 3)}
"""Seconds of a step, steps of a cycle, and the step at which 1970 began: a Thursday, where Monday is 0."""


class TimeContext(nn.Module):
    """A vector for each hour of the day, or day of the week, in UTC; those of a time are added up.

    Args:
        parts: Keys of :data:`PARTS`, at least one.
        unit: Seconds of the unit in which times count from 1970 on.
        size: Size of the vectors.
        std: Standard deviation of the vectors at the start.
    """

    def __init__(self, parts: Sequence[str], unit: float, size: int, std: float = 1.0) -> None:
        super().__init__()
        self.parts, self.unit = list(parts), unit
        tables = {part: nn.Embedding(PARTS[part][1], size) for part in parts}
        for table in tables.values():
            nn.init.normal_(table.weight, std=std)
        self.tables = nn.ModuleDict(tables)

    def forward(self, request_time: Tensor) -> Tensor:
        """Vectors ``[rows, size]`` of times, float64 ``[rows]``."""
        seconds = request_time * self.unit
        steps = {part: torch.floor(seconds / PARTS[part][0]).long() + PARTS[part][2] for part in self.parts}
        first, *further = (self.tables[part](steps[part] % PARTS[part][1]) for part in self.parts)
        for vectors in further:
            first = first + vectors
        return first
