"""Locks between processes: the system lets go of them whatever becomes of the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from recbole_logq.errors import RequestError, WorkError


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
        lock = _take(place, f"another run is writing {path}: wait for it, or stop it")
    except OSError as error:
        raise WorkError(f"cannot write {place}: {error.strerror}") from error
    try:
        yield
    finally:
        # Before it is let go of: afterwards it may be another run's. Windows keeps an open file, and there the lock
        # itself removes it.
        with suppress(OSError):
            place.unlink()
        lock.release()


@contextmanager
def alone_in(folder: Path, work: str) -> Iterator[None]:
    """Keep a second piece of work out of a folder, which is made where it is not there.

    Args:
        folder: Of the work.
        work: What it is, for the error.

    Raises:
        RequestError: Another one is at work there, or it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = _take(folder / ".lock", f"another {work} is at work in {folder}: wait for it, or set --folder=FOLDER")
    except OSError as error:
        raise RequestError(f"cannot write {folder}: {error.strerror}; set --folder=FOLDER") from error
    try:
        yield
    finally:
        lock.release()


def _take(place: Path, taken: str) -> FileLock:
    """A lock that this process alone holds; ``taken`` is said where another one has it."""
    lock = FileLock(place)
    try:
        lock.acquire(blocking=False)
    except Timeout as error:  # which is an OSError
        raise RequestError(taken) from error
    return lock
