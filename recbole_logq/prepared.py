"""Processes that start from a prepared one, which has imported torch and RecBole; Linux, fresh ones elsewhere.

The other side is :mod:`recbole_logq.fork_server`.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_logq import children

LOST = -int(getattr(signal, "SIGKILL", 9))
"""Status of a process whose end nobody has seen: its server is gone, and takes it along."""
_ONE_THREAD = {
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",  # pyarrow's second allocator, whose thread starts at its import
}
"""What else would start threads while things are imported; a copy has the environment of its request."""


class PreparedProcess:
    """A copy of the prepared process; the part of ``subprocess.Popen`` that :mod:`recbole_logq.children` uses."""

    stdin = None

    def __init__(self, server: PreparedProcesses, number: int, pid: int) -> None:
        self.pid, self.returncode = pid, None
        self._server, self._number = server, number

    returncode: int | None

    def poll(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""
        self._server.listen(0.0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end.

        Raises:
            TimeoutExpired: The process runs longer than that many seconds.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            if limit is not None and time.monotonic() >= limit:
                raise subprocess.TimeoutExpired("a run", timeout or 0.0)
            self._server.listen(1.0 if limit is None else max(min(limit - time.monotonic(), 1.0), 0.0))
        return self.returncode

    def terminate(self) -> None:
        """Ask it to end."""
        self._server.send({"signal": int(signal.SIGTERM), "number": self._number})

    def kill(self) -> None:
        """End it."""
        self._server.send({"signal": int(signal.SIGKILL), "number": self._number})


class PreparedProcesses:
    """Starts processes by copying one that has imported everything; a context manager, whose end is theirs."""

    def __init__(self) -> None:
        self._running: dict[int, PreparedProcess] = {}
        self._answers: dict[int, dict[str, Any]] = {}
        self._count, self._text = 0, b""
        self._process: subprocess.Popen[bytes] | None = None
        if sys.platform == "linux":
            self._process = children.start(
                [sys.executable, "-m", "recbole_logq.fork_server"],
                {**children.environment(), **_ONE_THREAD},
                cwd=os.sep,  # where nothing hides a module
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,  # where it fails, so does a fresh process, in the log of the run
                start_new_session=True,
            )

    def __enter__(self) -> PreparedProcesses:
        return self

    def __exit__(self, *error: object) -> None:
        children.end(list(self._running.values()))
        if self._process is not None:
            children.end([self._process])

    def start(self, words: Sequence[str], env: dict[str, str], folder: Path, log: Path) -> PreparedProcess | None:
        """A process that runs a module's ``main``, as ``python -m`` does in a fresh one.

        Args:
            words: Name of the module and its arguments.
            env: The environment; ``OMP_NUM_THREADS`` is how many threads it has.
            folder: Working folder of the process.
            log: File that its output is appended to.

        Returns:
            None where no such process can be had.
        """
        self._count += 1
        request = {"number": self._count, "words": list(words), "environment": env, "folder": str(folder)}
        self.send({**request, "log": str(log), "threads": int(env["OMP_NUM_THREADS"])})
        while self._process is not None and self._count not in self._answers:
            self.listen(None)
        answer = self._answers.pop(self._count, None)
        if answer is None or answer["process"] < 0:
            return None
        process = PreparedProcess(self, self._count, answer["process"])
        if "status" in answer:
            process.returncode = answer["status"]
        else:
            self._running[self._count] = process
        return process

    def send(self, request: dict[str, Any]) -> None:
        """Tell the prepared process something."""
        if self._process is None or self._process.stdin is None:
            return
        try:
            self._process.stdin.write(json.dumps(request).encode() + b"\n")
            self._process.stdin.flush()
        except OSError:
            self._lost()

    def listen(self, seconds: float | None) -> None:
        """Take in its answers; wait for the first one that long, or for any time for None."""
        if self._process is None or self._process.stdout is None:
            return
        with selectors.DefaultSelector() as waiting:  # select() itself takes no descriptor above 1023
            waiting.register(self._process.stdout, selectors.EVENT_READ)
            if not waiting.select(seconds):
                return
        part = os.read(self._process.stdout.fileno(), 65536)
        if not part:
            self._lost()
            return
        *lines, self._text = (self._text + part).split(b"\n")
        for line in lines:
            answer = json.loads(line)
            if "started" in answer:
                self._answers[answer["started"]] = answer
            elif (process := self._running.pop(answer["ended"], None)) is not None:
                process.returncode = answer["status"]
            else:  # it ended before its start was read
                self._answers[answer["ended"]]["status"] = answer["status"]

    def pause(self, seconds: float) -> None:
        """Wait that long, or until one of the processes has ended."""
        if self._process is None:
            time.sleep(seconds)
        else:
            self.listen(seconds)

    def _lost(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            children.end([process])
        for running in self._running.values():
            running.returncode = LOST
        self._running.clear()
