"""Locks between processes: the system lets go of them whatever becomes of the process."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from recbole_logq.errors import RequestError, WorkError

PATIENCE = 1.0
"""Seconds to try for: another run holds a lock for a moment to see whether it was left behind."""


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
        lock = _take(place, f"another run is writing {path}: wait for it, or stop it", PATIENCE)
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
        folder: Folder of the work.
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


def remove_left_locks(folder: Path) -> None:
    """Take away the lock files that killed runs have left in a folder of checkpoints."""
    for place in folder.glob(".*.pth.lock"):
        with suppress(RequestError, OSError):
            lock = _take(place, "held")
            place.unlink()
            lock.release()


def refuse_other_content(folder: Path, work: str, known: Collection[str], mark: str, required: str = "") -> None:
    """Refuse a folder that holds something else: files of the work would take the place of others of their names.

    Args:
        folder: Folder of the work; it may be missing or empty.
        work: What it is, for the error.
        known: Names of the work's own files and folders.
        mark: The one of them that only the work's folder has, so that others beside it do not matter.
        required: Name of one of them that is there from the beginning; empty where the mark is.

    Raises:
        RequestError: The folder holds something else, or is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise RequestError(f"{folder} is a file: give --folder=FOLDER")
    names = {entry.name for entry in folder.iterdir()} if folder.is_dir() else set()
    foreign = sorted(names - set(known) if required in names else names)
    if foreign and mark not in names:
        raise RequestError(f"{folder} holds {foreign[0]}, which is of no {work}: give another --folder")


def _take(place: Path, message: str, patience: float = 0.0) -> FileLock:
    """A lock that this process alone holds; ``message`` is the error where another one has it for that many seconds."""
    lock = FileLock(place)
    try:
        lock.acquire(timeout=patience, poll_interval=0.02)
    except Timeout as error:  # which is an OSError
        raise RequestError(message) from error
    return lock
