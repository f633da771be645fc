"""What a sweep does when a trial starts, is validated, or ends: records, checkpoints, what the terminal shows."""

from __future__ import annotations

from typing import Any

from recbole_logq.experiment.run_store import Record
from recbole_logq.sweeps.parameter import Point
from recbole_logq.sweeps.progress import Progress
from recbole_logq.sweeps.trial_records import Records, add_line, finish


class Watch:
    """Writes the record of every trial, where the command runs.

    Args:
        records: Records of the search.
        progress: Progress that is told of every change.
        first: Number of the first trial.
    """

    def __init__(self, records: Records, progress: Progress, first: int) -> None:
        self.records, self.progress, self.next = records, progress, first
        self.running: dict[str, Record] = {}

    def started(self, trial: str, point: Point) -> None:
        """A trial starts, or starts again after its process was lost."""
        if trial not in self.running:
            self.running[trial] = self.records.begin(trial, point, self.next)
            self.next += 1
        record = self.running[trial]
        record["starts"] += 1
        self.records.write(record)
        self.progress.show(record)

    def reported(self, trial: str, result: dict[str, Any]) -> None:
        """A validation, or the last report of a trial."""
        if record := self.running.get(trial):
            moved = record["node"] != result.get("node")
            add_line(record, result)
            if moved:  # where it is, so that a sweep that is cut off can go on from its checkpoint
                self.records.write(record)
            self.progress.show(record)

    def ended(self, trial: str, result: dict[str, Any], error: str | None) -> None:
        """A trial is over, by itself or by the scheduler; with ``error``, Tune gave it up."""
        record = self.running.pop(trial, None)
        if record is None:
            return
        finish(record, result, error)
        self.records.write(record)
        self.records.keep_only(self.records.winner())
        self.progress.show(record)
