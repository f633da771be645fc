"""Learning-rate schedules."""

from __future__ import annotations

import math

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR


def create_schedule(optimizer: Optimizer, name: str, warmup_steps: int, total_steps: int) -> LambdaLR:
    """Linear warm-up to the optimizer's rate, then ``constant``, ``linear`` or ``cosine`` decay to 0.

    Args:
        optimizer: Whose rate to steer.
        name: One of the three.
        warmup_steps: Steps of warm-up; 0 for none.
        total_steps: Steps of the whole run; a decay ends there.
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        if name == "constant":
            return 1.0
        done = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return 1.0 - done if name == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))

    return LambdaLR(optimizer, factor)
