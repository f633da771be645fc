"""Locks between processes."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest
from filelock import FileLock

from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.locks import alone_in, remove_left_locks, sole_writer

# Holds the lock until it is killed; the package's own module would take seconds to import.
HOLDER = """
import sys, time
from filelock import FileLock
lock = FileLock(sys.argv[1])
lock.acquire(blocking=False)
print("held", flush=True)
time.sleep(600)
"""
Lock = Callable[[Path], AbstractContextManager[None]]


@pytest.mark.parametrize(
    ("lock", "place", "says"),
    [
        (lambda folder: sole_writer(folder / "a.pth"), ".a.pth.lock", "another run is writing"),
        (lambda folder: alone_in(folder, "sweep"), ".lock", "another sweep is at work in"),
    ],
    ids=["file", "folder"],
)
def test_one_process_at_a_time_and_none_after_it_was_killed(lock: Lock, place: str, says: str, tmp_path: Path) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path / place)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        try:
            assert holder.stdout.readline() == "held\n"
            with pytest.raises(RequestError, match=says), lock(tmp_path):
                pass
        finally:
            holder.kill()
    with lock(tmp_path):  # what the killed one has left is no obstacle
        assert (tmp_path / place).exists()
        with pytest.raises(RequestError, match=says), lock(tmp_path):  # nor is one's own process an exception
            pass
    with lock(tmp_path):
        pass


def test_who_looks_for_left_locks_is_no_writer(tmp_path: Path) -> None:
    """A run that starts beside another takes every lock for a moment, also one that was made an instant ago."""
    place = tmp_path / ".a.pth.lock"
    looking = FileLock(place)
    looking.acquire()

    def look() -> None:
        place.unlink()  # as remove_left_locks does
        looking.release()

    moment = threading.Timer(0.1, look)
    moment.start()
    with sole_writer(tmp_path / "a.pth"):
        assert place.exists()
        remove_left_locks(tmp_path)
        assert place.exists()
    moment.join()
    assert list(tmp_path.iterdir()) == []
    place.touch()
    remove_left_locks(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_no_lock_file_stays_beside_a_checkpoint(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), sole_writer(tmp_path / "a.pth"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorkError, match="cannot write"), sole_writer(tmp_path / "file" / "a.pth"):
        pass
    with pytest.raises(RequestError, match="set --folder=FOLDER"), alone_in(tmp_path / "file", "sweep"):
        pass
