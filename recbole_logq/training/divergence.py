"""Numbers that go wrong in training: when it began, and where."""

from __future__ import annotations

import os
from typing import Any

import torch
from torch import Tensor

from recbole_logq.errors import WorkError

EVERY = 100
"""Steps after which an accelerator is asked whether all is well; asking waits for it."""
DIVERGED = 10.0
"""A learned temperature that many times above or below its start is said to diverge."""


class FirstBadLoss:
    """The first step of an epoch whose loss is no finite number, kept on the device."""

    def __init__(self, device: torch.device) -> None:
        self._step = torch.zeros((), dtype=torch.int64, device=device)
        self._every = 1 if device.type == "cpu" else EVERY

    def add(self, step: int, loss: Tensor) -> bool:
        """Take in a step, counted from 1; whether it is time to look."""
        bad = (self._step == 0) & ~torch.isfinite(loss)
        self._step = torch.where(bad, step, self._step)
        return step % self._every == 0

    def step(self) -> int | None:
        """The first one, or None."""
        return int(self._step) or None


def not_finite(model: torch.nn.Module) -> list[str]:
    """Names of the parameters that hold NaN or infinite values."""
    return [name for name, value in model.named_parameters() if not bool(torch.isfinite(value).all())]


def gone_wrong(trainer: Any, quantity: str, epoch: int | None, step: int | None) -> WorkError:
    """The error that names where, which recipe, with which settings, which parameters, and how to go on.

    Args:
        trainer: Trainer of the run.
        quantity: Name of the value that is no finite number.
        epoch: Epoch of the failure; None in a loop of RecBole's own, whose steps are then counted from the start.
        step: Step of the epoch, counted from 1; None if it is not known.
    """
    config, names = trainer.config, not_finite(trainer.model)
    label = ", ".join(f"{name} {n}" for name, n in (("epoch", epoch), ("step", step)) if n is not None)
    settings = {key: config[key] for key in ("loss", "negatives", "temperature") if config[key] is not None}
    settings = {"learning_rate": trainer.learning_rate, **settings}
    recipe = ", ".join(f"{key}={value}" for key, value in settings.items())
    bad = f"; no finite numbers in {', '.join(names[:5])}{' and others' if names[5:] else ''}" if names else ""
    kept = f"; the last good checkpoint is kept: {trainer.last_file}" if os.path.exists(trainer.last_file) else ""
    return WorkError(
        f"{label}: {quantity} of {config['model']} is no finite number ({recipe}{bad}): lower learning_rate or set "
        f"clip_grad_norm.max_norm{kept}"
    )


def temperature_warning(scorer: Any) -> str | None:
    """What to say of a learned temperature that runs away; None while it does not."""
    if scorer.mode != "learned":
        return None
    now, start = scorer.temperature, scorer.start
    if start / DIVERGED <= now <= start * DIVERGED:
        return None
    return (
        f"the learned temperature diverges: {start:g} at first, {now:g} now; lower learning_rate, or set "
        "temperature_mode=fixed"
    )
