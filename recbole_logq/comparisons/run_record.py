"""The record of one run of a comparison: a JSON file, which is checked when it is read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any, Literal

from pydantic import model_validator

from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import PlannedRun
from recbole_logq.experiment.run_store import Number, Part, Record, RunStore, StoredRun, Trained


class Measurement(Trained):
    """What was measured, on what and how: what two results need to stand side by side."""

    test_result: dict[str, Number]
    protocol: dict[str, Any]
    trained_on: str | None = None


class Epoch(Part):
    """An epoch of a run's history."""

    epoch: int
    train_seconds: Number
    train_cpu_seconds: Number
    valid_score: Number | None = None
    sample_weight: dict[str, Number] | None = None


class RunResult(Measurement):
    """What :func:`recbole_logq.run` returns, as far as a report needs it."""

    parameters: dict[str, Any] = {}
    versions: dict[str, str]
    seconds: dict[str, Number]
    train_cpu_seconds: Number
    positives_per_second: Number
    peak_memory_mb: Number
    history: list[Epoch] | None = None


class RunRecord(StoredRun):
    """A whole record.

    Attributes:
        users: Users of the test part, by the names that the data has for them.
        per_user: A metric of each of them, in the same order; the mean where one has several rows.
        unranked: Reason why there are no values of users and no measures.
    """

    name: str
    model: str
    dataset: str
    seed: int
    command: str
    status: Literal["done", "failed"]
    error: str | None
    result: RunResult | None
    measures: dict[str, Number | list[Number | None]]
    users: list[str] = []
    per_user: dict[str, list[Number]]
    unranked: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _of_today(cls, record: Any) -> Any:
        if isinstance(record, dict) and record.get("per_user") and "users" not in record:
            raise ValueError(
                "of an earlier version, which kept values of users without the users: move all such records away, and "
                "the same command runs them again, or set --folder=FOLDER"
            )
        return record

    @model_validator(mode="after")
    def _belongs_together(self) -> RunRecord:
        if self.status == "done" and self.result is None:
            raise ValueError("it is done and has no result")
        if len(set(self.users)) < len(self.users):
            twice, _ = Counter(self.users).most_common(1)[0]
            raise ValueError(f"user {twice!r} stands there twice")
        for metric, values in self.per_user.items():
            if len(values) != len(self.users):
                raise ValueError(f"{len(values)} values of {metric} for {len(self.users)} users")
        return self


def read_record(file: Path, run: PlannedRun) -> Record | None:
    """The record of a run that has ended, well or not; None if there is none, or a file that is no JSON.

    Raises:
        RequestError: The file is JSON and not the record of this run, or of an earlier version, which joined users by
            position.
    """
    record = _store_of(file).read(file.stem, damaged_is_missing=True)
    if record is None:
        return None
    of_file = tuple(record[key] for key in ("name", "model", "dataset", "seed"))
    if of_file != (run.name, run.model, run.dataset, run.seed):
        name, model, dataset, seed = of_file
        raise RequestError(
            f"{file} is the record of {name} ({model}) on {dataset}, seed {seed}, and should be that of {run.name} "
            f"({run.model}) on {run.dataset}, seed {run.seed}: remove it"
        )
    return record


def write_record(file: str | Path, record: Record) -> None:
    """Write or replace a record.

    Raises:
        WorkError: The record cannot be written.
    """
    _store_of(Path(file)).write(Path(file).stem, record)


def _store_of(file: Path) -> RunStore:
    return RunStore(file.parent, RunRecord, text=_text)


def _text(record: Record) -> str:
    """JSON in which the lists of users and their values, which may be millions, are a line each."""
    head = {key: value for key, value in record.items() if key not in ("users", "per_user")}
    lines = [json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}") + ","]
    lines.append(f' "users": {json.dumps(record["users"])},')
    lines.append(' "per_user": {')
    columns = [
        f"  {json.dumps(name)}: {json.dumps(values, allow_nan=False)}" for name, values in record["per_user"].items()
    ]
    lines += [",\n".join(columns)] if columns else []
    return "\n".join([*lines, " }", "}"]) + "\n"
