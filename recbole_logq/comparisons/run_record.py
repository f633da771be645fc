"""The record of one run of a comparison: a JSON file, which is checked when it is read."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import PlannedRun
from recbole_logq.files import write_text

Record = dict[str, Any]
Number = Annotated[float, Field(allow_inf_nan=False)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


class Fingerprint(_Part):
    """Fingerprint of a split."""

    train: str
    valid: str
    test: str


class Measurement(_Part):
    """What was measured, on what and how: what two results need to stand side by side."""

    model: str
    dataset: str
    seed: int
    test_result: dict[str, Number]
    fingerprint: Fingerprint
    protocol: dict[str, Any]
    trained_on: str | None = None


class Epoch(_Part):
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


class RunRecord(_Part):
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
    try:
        record: Record = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if isinstance(record, dict) and record.get("per_user") and "users" not in record:
        raise RequestError(
            f"records in {file.parent}, such as {file.name}, are of an earlier version, which kept values of users "
            "without the users: move them away, and the same command runs them again, or set --folder=FOLDER"
        )
    try:
        checked = RunRecord.model_validate(record)
    except ValidationError as error:
        raise RequestError(
            f"{file} is not the record of a run ({problem_of(error)}): remove it, and the same command runs it again"
        ) from error
    if (checked.name, checked.model, checked.dataset, checked.seed) != (run.name, run.model, run.dataset, run.seed):
        raise RequestError(
            f"{file} is the record of {checked.name} ({checked.model}) on {checked.dataset}, seed {checked.seed}, and "
            f"should be that of {run.name} ({run.model}) on {run.dataset}, seed {run.seed}: remove it"
        )
    return record


def problem_of(error: ValidationError) -> str:
    """The first thing that is wrong, and where, in a few words."""
    problem = error.errors()[0]
    where = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{where}: {message[0].lower()}{message[1:]}" if where else message


def write_record(file: str | Path, record: Record) -> None:
    """Write or replace a record; the lists of users and their values, which may be millions, are a line each.

    Raises:
        WorkError: The record cannot be written.
    """
    head = {key: value for key, value in record.items() if key not in ("users", "per_user")}
    lines = [json.dumps(head, indent=1, allow_nan=False).removesuffix("\n}") + ","]
    lines.append(f' "users": {json.dumps(record["users"])},')
    lines.append(' "per_user": {')
    columns = [
        f"  {json.dumps(name)}: {json.dumps(values, allow_nan=False)}" for name, values in record["per_user"].items()
    ]
    lines += [",\n".join(columns)] if columns else []
    write_text(file, "\n".join([*lines, " }", "}"]) + "\n")
