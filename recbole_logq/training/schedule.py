"""Learning-rate schedules."""

from __future__ import annotations

import math
from typing import Any

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

from recbole_logq.training import checkpoint


def create_schedule(optimizer: Optimizer, name: str, warmup_steps: int, total_steps: int) -> LambdaLR:
    """Linear warm-up to the optimizer's rate, then ``constant``, ``linear`` or ``cosine`` decay to 0.

    Args:
        optimizer: Optimizer whose rate is steered.
        name: One of the three.
        warmup_steps: Steps of warm-up; 0 for none.
        total_steps: Steps of the whole run; a decay ends there.
    """

    def factor(step: int) -> float:
        if step < warmup_steps:
            return (step + 1) / (warmup_steps + 1)
        if name == "constant":
            return 1.0
        progress = min(1.0, (step - warmup_steps) / max(1, total_steps - warmup_steps))
        return 1.0 - progress if name == "linear" else 0.5 * (1.0 + math.cos(math.pi * progress))

    return LambdaLR(optimizer, factor)


def load_schedule(schedule: LambdaLR, state: Any, file: str) -> None:
    """Put a checkpoint's state into a schedule.

    Args:
        schedule: Schedule of the same optimizer.
        state: What ``state_dict`` gave, or whatever a checkpoint holds in its place.
        file: The checkpoint, for messages.

    Raises:
        RequestError: The state is none of this schedule; torch itself takes in anything.
    """
    known = schedule.state_dict()
    try:
        for key, value in known.items():
            if type(state[key]) is not type(value) or (isinstance(value, list) and len(state[key]) != len(value)):
                raise ValueError(f"{key} of the schedule is not what it should be")
        if not all(math.isfinite(rate) for rate in (*state["base_lrs"], *state["_last_lr"])):
            raise ValueError("a learning rate of the schedule is no finite number")
        if state["last_epoch"] < 0:
            raise ValueError("the schedule counts below 0")
        schedule.load_state_dict(
            {key: state[key] for key in known if key != "lr_lambdas"}
            | {"lr_lambdas": [None] * len(known["lr_lambdas"])}
        )
    except checkpoint.DAMAGE as error:
        raise checkpoint.damaged(file, error) from error
