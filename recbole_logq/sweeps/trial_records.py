"""Records of trials: a JSON file each, written when it starts and when it ends."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Sequence
from logging import getLogger
from pathlib import Path
from typing import Any

from recbole_logq.experiment.run_store import Record, RunStore
from recbole_logq.sweeps.paths import TRIALS, inside, stored
from recbole_logq.sweeps.trial_schema import TrialRecord

ENDED = ("done", "stopped", "failed")
_PATHS = ("folder", "checkpoint")
_LINE = ("epoch", "score", "best_score", "train_seconds", "train_cpu_seconds")


class Records:
    """The records of one search.

    Args:
        folder: Folder of the search; records lie in ``records/``, trials in ``trials/``.
        bigger: Whether a larger score is better.
    """

    def __init__(self, folder: str | Path, bigger: bool) -> None:
        self.folder, self.bigger = Path(folder).absolute(), bigger
        self._store = RunStore(self.folder / "records", TrialRecord, "trial", "its trial starts anew")
        self._warned: set[str] = set()

    @property
    def trials(self) -> Path:
        """Where trials have their folders."""
        return self.folder / TRIALS

    def read(self) -> list[Record]:
        """All records by number.

        Paths in them are relative to the folder of the search, which may have been moved or copied; None where there is
        no such file or folder within it. One that names another place, as no sweep writes it, is never followed.

        Raises:
            RequestError: A file is no record of a trial.
        """
        records = [self._located(trial, record) for trial, record in self._store.all()]
        return sorted(records, key=lambda record: int(record["number"]))

    def _located(self, trial: str, record: Record) -> Record:
        if record["trial"] != trial:
            raise self._store.refusal(trial, f"it is that of {record['trial']}")
        record = {**self.begin(trial, {}, 0), **record}
        paths = {key: stored(self.folder, record[key]) for key in _PATHS}
        if any(record[key] and paths[key] is None for key in _PATHS) and trial not in self._warned:
            self._warned.add(trial)
            file = self._store.file(trial)
            getLogger().warning(f"{file} names a place outside of {self.folder / TRIALS}, which is not looked at")
        return record | paths

    def path(self, name: str | None) -> Path | None:
        """What a record names by ``folder`` or ``checkpoint``."""
        return inside(self.folder, name)

    def ended(self) -> list[Record]:
        """Records of trials that are over."""
        return [record for record in self.read() if record["status"] in ENDED]

    def interrupted(self) -> list[Record]:
        """Records of trials that never came to an end."""
        return [record for record in self.read() if record["status"] not in ENDED]

    def write(self, record: Record) -> None:
        """Store or replace."""
        self._store.write(record["trial"], record)

    def forget(self, record: Record) -> None:
        """Remove; the trial starts anew under another number."""
        self._store.forget(record["trial"])

    def begin(self, trial: str, point: dict[str, Any], number: int) -> Record:
        """The record of a trial that starts now."""
        return {
            "number": number,
            "trial": trial,
            "point": point,
            "status": "running",
            "error": None,
            "best_score": None,
            "best_epoch": None,
            "epochs": 0,
            "train_cpu_seconds": 0.0,
            "started": time.time(),
            "ended": None,
            "starts": 0,
            "folder": None,
            "node": None,
            "devices": None,
            "data": None,
            "checkpoint": None,
            "history": [],
        }

    def winner(self, records: Sequence[Record] | None = None) -> Record | None:
        """The best by validation: of those that trained to their end, if there is one, of those that were stopped
        otherwise; the earlier one of two that are equal. None where all failed."""
        ended = self.ended() if records is None else records
        for status in ("done", "stopped"):
            candidates = [record for record in ended if record["status"] == status and record["best_score"] is not None]
            if candidates:
                sign = -1 if self.bigger else 1
                return min(candidates, key=lambda record: (sign * record["best_score"], record["number"]))
        return None

    def keep_only(self, record: Record | None) -> None:
        """Remove the checkpoints of all trials that are over but this one: a sweep would fill the disk."""
        kept = None if record is None else record["folder"]
        for trial in self.ended():
            if trial["folder"] and trial["folder"] != kept:
                saved = inside(self.folder, f"{trial['folder']}/saved")
                if saved is not None and saved.is_dir():
                    shutil.rmtree(saved, ignore_errors=True)


def add_line(record: Record, result: dict[str, Any]) -> None:
    """Take in what a trial has reported; one that started again reports its epochs again."""
    if "epoch" in result and not result.get("ended"):
        line = {key: result.get(key) for key in _LINE}
        record["history"] = [earlier for earlier in record["history"] if earlier["epoch"] < line["epoch"]] + [line]
        record |= {"best_score": line["best_score"], "epochs": line["epoch"]}
        record |= {"train_cpu_seconds": line["train_cpu_seconds"], "best_epoch": _best_epoch(record["history"])}
    record |= {key: result[key] for key in ("folder", "node", "devices", "data") if result.get(key)}


def finish(record: Record, result: dict[str, Any], error: str | None) -> None:
    """Turn a record into that of a trial that is over.

    Args:
        record: Record of a trial that ran.
        result: The last that it reported.
        error: Reason why Tune gave it up; None if it did not.
    """
    status = str(result.get("ended") or "stopped")
    if error is not None:
        status = "failed"
    record |= {"status": status, "ended": time.time(), "error": error or result.get("error")}
    record["checkpoint"] = result.get("checkpoint")
    if status == "failed":
        score = record["best_score"]
        record["best_score"] = score if score is not None and math.isfinite(score) else None


def _best_epoch(history: Sequence[dict[str, Any]]) -> int | None:
    best = history[-1]["best_score"]
    return next((line["epoch"] - 1 for line in history if line["score"] == best), None)
