"""Files that are there as a whole or not at all."""

from __future__ import annotations

import fcntl
import json
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from recbole_logq.errors import RequestError, WorkError


def folder_name(label: str) -> str:
    """A title or a name as that of a folder."""
    return re.sub(r"[^\w.-]+", "-", label)


def write_text(target: str | Path, text: str) -> None:
    """Write or replace a file.

    Raises:
        WorkError: It cannot be written; what was there is untouched.
    """
    path = Path(target).absolute()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise WorkError(f"cannot write {path}: {error.strerror}") from error


def write_json(target: str | Path, content: Any) -> None:
    """The same for plain values."""
    write_text(target, json.dumps(content, indent=1, allow_nan=False) + "\n")


@contextmanager
def _held(lock: TextIO, taken: str) -> Iterator[None]:
    """Have a lock file to oneself, and close it in the end; ``taken`` is said where another process has it."""
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise RequestError(taken) from error
        yield


@contextmanager
def sole_writer(target: str | Path) -> Iterator[None]:
    """Keep a second process from writing a file that is written again and again, such as a run's checkpoint.

    Raises:
        RequestError: Another process is at it.
        WorkError: The folder cannot be written.
    """
    path = Path(target)
    place = path.with_name(f".{path.name}.lock")
    try:
        lock = place.open("w")
    except OSError as error:
        raise WorkError(f"cannot write {place}: {error.strerror}") from error
    with _held(lock, f"another run is writing {path}: wait for it, or stop it"):
        try:
            yield
        finally:
            with suppress(OSError):
                place.unlink()


@contextmanager
def alone_in(folder: Path, what: str) -> Iterator[None]:
    """Keep a second piece of work out of a folder, which is made where it is not there.

    Args:
        folder: Of the work.
        what: It is, for the error.

    Raises:
        RequestError: Another one is at work there, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = (folder / ".lock").open("w")
    except OSError as error:
        raise RequestError(f"cannot write {folder}: {error.strerror}; set --folder=FOLDER") from error
    with _held(lock, f"another {what} is at work in {folder}: wait for it, or set --folder=FOLDER"):
        yield
