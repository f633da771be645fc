"""Weights & Biases: a run of a project."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.training.trackers import Outcome


class WandbTracker:
    """One run there; the one that the caller of :func:`recbole_logq.run` has begun, where there is one.

    Args:
        config: Settings of the run.
        name: Name of the run.
        parameters: Settings to keep with it, as texts.

    Raises:
        RequestError: W&B cannot begin a run, such as without a key.
    """

    name = "W&B"

    def __init__(self, config: Any, name: str, parameters: Mapping[str, str]) -> None:
        import wandb

        self._own = wandb.run is None
        try:
            self._run: Any = wandb.run or wandb.init(
                project=config["wandb_project"],
                name=name,
                # In a process that serves several trials, W&B would go on in the folder of the first.
                dir=os.environ.get("WANDB_DIR") or os.getcwd(),
                config=dict(parameters),
                settings=wandb.Settings(silent=True),
            )
        except Exception as error:  # of its service, its files or its user: any
            reason = " ".join(str(error).split())[:200]
            raise RequestError(
                f"log_wandb=true: W&B begins no run: {reason}; set WANDB_MODE=offline to do without its service"
            ) from error
        for part in ("train", "valid"):  # RecBole's names of the axes
            self._run.define_metric(f"{part}/*", step_metric=f"{part}_step")

    def log(self, values: Mapping[str, float], epoch: int) -> None:
        """See :class:`recbole_logq.training.trackers.Tracker`."""
        steps = {f"{part}_step": epoch for part in ("train", "valid") if any(key.startswith(part) for key in values)}
        self._run.log({**values, **steps})

    def summarise(self, values: Mapping[str, float]) -> None:
        """See :class:`recbole_logq.training.trackers.Tracker`."""
        for key, value in values.items():
            self._run.summary[key] = value

    def end(self, outcome: Outcome) -> None:
        """See :class:`recbole_logq.training.trackers.Tracker`."""
        if self._own:
            self._run.finish(exit_code=int(outcome == "failed"))
