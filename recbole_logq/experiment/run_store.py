"""Where the runs of a comparison, a sweep or a benchmark are kept: a JSON file each, checked whenever it is read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from recbole_logq.errors import RequestError
from recbole_logq.files import write_json, write_text

Record = dict[str, Any]
Number = Annotated[float, Field(allow_inf_nan=False)]


class Part(BaseModel):
    """A part of a record; whoever wrote it may have kept more in it."""

    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


class StoredRun(Part):
    """What every record has: whether its run ended well, and why not.

    Attributes:
        status: ``done`` or ``failed``; of a trial also ``running`` and ``stopped``.
        error: Reason of a failure, in one line.
    """

    status: str = "done"
    error: str | None = None


class Fingerprint(Part):
    """Fingerprint of a split."""

    train: str
    valid: str
    test: str


class Trained(Part):
    """What was trained, and on which split."""

    model: str
    dataset: str
    seed: int
    fingerprint: Fingerprint


class RunStore:
    """Records of one kind in a folder, whole or not there: a process that ends while it writes leaves the earlier one.

    Args:
        folder: Folder of the files, made when the first record is written.
        schema: Schema of a record.
        kind: Kind of run, for messages.
        again: What comes of removing a record, for messages.
        text: Text of a record; JSON with a line for each value by default.
    """

    def __init__(
        self,
        folder: str | Path,
        schema: type[StoredRun],
        kind: str = "run",
        again: str = "the same command runs it again",
        text: Callable[[Record], str] | None = None,
    ) -> None:
        self.folder, self.schema = Path(folder), schema
        self._kind, self._again, self._text = kind, again, text

    def file(self, name: str) -> Path:
        """Where a record is or will be."""
        return self.folder / f"{name}.json"

    def names(self) -> list[str]:
        """Names of all records, in no order."""
        return [file.stem for file in self.folder.glob("*.json")]

    def read(self, name: str, damaged_is_missing: bool = False) -> Record | None:
        """A record; None where there is none.

        Args:
            name: Name of the run.
            damaged_is_missing: Whether a file that is no JSON, such as one that a full disk has cut, counts as none.

        Raises:
            RequestError: The file is no record of that kind; the message says what to do.
        """
        file = self.file(name)
        try:
            record = json.loads(file.read_text(encoding="utf-8"))
        except FileNotFoundError:  # another process may have just removed it
            return None
        except (OSError, ValueError) as error:
            if damaged_is_missing:
                return None
            raise RequestError(f"{file} cannot be read ({error}): remove it, and {self._again}") from error
        try:
            self.schema.model_validate(record)
        except ValidationError as error:
            raise self.refusal(name, problem_of(error)) from error
        return dict(record)

    def all(self) -> Iterator[tuple[str, Record]]:
        """Every record with its name, in no order.

        Raises:
            RequestError: As for :meth:`read`.
        """
        for name in self.names():
            if (record := self.read(name)) is not None:
                yield name, record

    def write(self, name: str, record: Record) -> None:
        """Write or replace a record.

        Raises:
            WorkError: The record cannot be written.
        """
        if self._text is None:
            write_json(self.file(name), record)
        else:
            write_text(self.file(name), self._text(record))

    def forget(self, name: str) -> None:
        """Remove a record, if there is one."""
        self.file(name).unlink(missing_ok=True)

    def refusal(self, name: str, problem: str) -> RequestError:
        """The error for a file that is no record of this kind."""
        file = self.file(name)
        return RequestError(f"{file} is no record of a {self._kind} ({problem}): remove it, and {self._again}")


def problem_of(error: ValidationError) -> str:
    """The first thing that is wrong, and where, in a few words."""
    problem = error.errors()[0]
    place = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{place}: {message[0].lower()}{message[1:]}" if place else message
