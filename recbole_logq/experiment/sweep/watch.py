"""What the driver does while Tune works: records, checkpoints, the budget, and what the terminal shows."""

from __future__ import annotations

import contextlib
import json
from typing import Any

from ray.tune import Callback, Stopper

from recbole_logq.experiment.sweep.progress import Progress
from recbole_logq.experiment.sweep.records import Record, Records, add_line, finish
from recbole_logq.experiment.sweep.trial import reason


class Watch(Callback):
    """Writes the record of every trial.

    Args:
        records: Where.
        progress: Told of every change.
        first: Number of the first trial.
    """

    def __init__(self, records: Records, progress: Progress, first: int) -> None:
        self.records, self.progress, self.next = records, progress, first
        self.running: dict[str, Record] = {}

    def __getstate__(self) -> dict[str, Any]:
        # Tune stores its callbacks beside its own state, which nothing here reads back.
        return {}

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial starts, or starts again after its process was lost."""
        if trial.trial_id not in self.running:
            point = json.loads(trial.config["point"])
            self.running[trial.trial_id] = self.records.begin(trial.trial_id, point, self.next)
            self.next += 1
        record = self.running[trial.trial_id]
        record["starts"] += 1
        self.records.write(record)
        self.progress.show(record)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """A validation, or the last report of a trial."""
        if record := self.running.get(trial.trial_id):
            moved = record["node"] != result.get("node")
            add_line(record, result)
            if moved:  # where it is, so that a sweep that is cut off can go on from its checkpoint
                self.records.write(record)
            self.progress.show(record)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial is over, by itself or by the scheduler."""
        self._finish(trial, None)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """A trial's process was lost once too often."""
        error = None
        with contextlib.suppress(Exception):
            error = trial.get_pickled_error()
        said = f"its process was lost: {reason(error)}" if error else "its process was lost (out of memory?)"
        self._finish(trial, said)

    def _finish(self, trial: Any, error: str | None) -> None:
        record = self.running.pop(trial.trial_id, None)
        if record is None:
            return
        finish(record, trial.last_result or {}, error)
        self.records.write(record)
        self.records.keep_only(self.records.winner())
        self.progress.show(record)


class Budget(Stopper):
    """Ends a search when its trials together have trained for so many CPU seconds.

    Args:
        seconds: The budget.
        spent: By trials that are over.
    """

    def __init__(self, seconds: float, spent: float) -> None:
        self.seconds, self.before = seconds, spent
        self.spent: dict[str, float] = {}

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Never stops one trial alone."""
        self.spent[trial_id] = max(self.spent.get(trial_id, 0.0), float(result.get("train_cpu_seconds") or 0.0))
        return False

    def stop_all(self) -> bool:
        """Whether the budget is spent."""
        return self.before + sum(self.spent.values()) >= self.seconds
