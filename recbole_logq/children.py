"""Processes that this one starts: they end when it ends, however it ends.

The parent holds one end of a pipe that is the child's standard input, and never writes to it. The system closes it when
the parent is gone, killed or not, on every platform; a thread of the child waits for that. Standard library only.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, Any, Protocol

from recbole_logq.interruption import interrupt_main_thread

PATIENCE = 10.0
"""Seconds that a process has for its clean-up before it is killed."""
PATIENT_THREADS = {"OMP_WAIT_POLICY": "PASSIVE"}
"""Read when torch is imported. By default the threads of an operation spin until the last one is there; beside another
busy process that takes the very time the last one needs, and a step costs many times its CPU seconds."""
_CHILD = "RECBOLE_LOGQ_CHILD"


def environment() -> dict[str, str]:
    """This process's environment, in which a Python started anywhere finds this package, installed or not."""
    root = str(Path(__file__).parents[1])
    known = os.environ.get("PYTHONPATH")
    path = root if known is None else os.pathsep.join([root, known])
    return {**PATIENT_THREADS, **os.environ, "PYTHONPATH": path}


def wait_patiently() -> None:
    """Have the threads of this process sleep where they wait, if torch is not there yet and nobody has set it."""
    for name, value in PATIENT_THREADS.items():
        os.environ.setdefault(name, value)


def mark() -> None:
    """Make a process by another way of starting one that :func:`end_with_parent` knows as a child."""
    os.environ[_CHILD] = "1"


def start(command: Sequence[str], env: dict[str, str], **options: Any) -> subprocess.Popen[bytes]:
    """Start a process that calls :func:`end_with_parent`.

    Args:
        command: A Python of this environment and its arguments.
        env: Its environment.
        options: More of ``subprocess.Popen``.
    """
    return subprocess.Popen(command, stdin=subprocess.PIPE, env={**env, _CHILD: "1"}, **options)


class Process(Protocol):
    """What :func:`end` needs of a process, as ``subprocess.Popen`` has it."""

    @property
    def stdin(self) -> IO[bytes] | None: ...

    def poll(self) -> int | None: ...

    def wait(self, timeout: float | None = None) -> int: ...

    def terminate(self) -> None: ...

    def kill(self) -> None: ...


@contextlib.contextmanager
def ended_together(processes: Sequence[Process]) -> Iterator[None]:
    """End whatever runs of the processes when the block is left: first they are asked to, then they are killed."""
    try:
        yield
    finally:
        end(processes)


def end(processes: Sequence[Process]) -> None:
    """End processes, all at once; what they clean up they may clean up."""
    for process in processes:
        if process.poll() is None:
            process.terminate()
    limit = time.monotonic() + PATIENCE
    for process in processes:
        try:
            process.wait(max(limit - time.monotonic(), 0.01))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdin is not None:
            process.stdin.close()


def run(command: Sequence[str], env: dict[str, str], **options: Any) -> int:
    """Start a process, wait for it, and return its exit status."""
    process = start(command, env, **options)
    with ended_together([process]):
        return process.wait()


def end_with_parent() -> None:
    """End a process that :func:`start` has started when its parent is gone. Does nothing in any other."""
    if os.environ.pop(_CHILD, None):  # its own children have another parent
        threading.Thread(target=_wait_for_the_end, name="end-with-parent", daemon=True).start()


def _wait_for_the_end() -> None:
    with contextlib.suppress(OSError):
        while os.read(0, 4096):
            pass
    interrupt_main_thread(signal.SIGTERM)
    time.sleep(PATIENCE)
    os._exit(1)  # it does not come to an end by itself: it waits for another process, or computes outside of Python
