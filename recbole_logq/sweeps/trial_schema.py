"""What the files of a sweep must be before anything is concluded from them: a score that is no number never wins."""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from recbole_logq.experiment.run_store import Number, Part, StoredRun


class Validation(Part):
    """An epoch of a trial that was validated."""

    epoch: int
    score: Number | None = None
    best_score: Number | None = None
    train_seconds: Number | None = None
    train_cpu_seconds: Number | None = None


class TrialRecord(StoredRun):
    """The record of a trial; its paths are looked at where they are followed."""

    number: int
    trial: str
    point: dict[str, Any]
    status: str
    best_score: Number | None = None
    best_epoch: int | None = None
    epochs: int
    train_cpu_seconds: Number | None = None
    started: Number | None = None
    ended: Number | None = None
    starts: int = 0
    history: list[Validation]


class SearchResult(Part):
    """A search in ``results.json``."""

    name: str
    metric: str
    winner: int | None
    best: str | None = None
    test_result: dict[str, Number] | None = None
    trials: list[TrialRecord]

    @model_validator(mode="after")
    def _winner_is_there(self) -> SearchResult:
        if self.winner is not None and self.winner not in {
            trial.number for trial in self.trials if trial.best_score is not None
        }:
            raise ValueError(f"its winner, trial {self.winner}, is none of its trials with a score")
        return self


class SweepResult(Part):
    """The whole of ``results.json``."""

    searches: list[SearchResult]
