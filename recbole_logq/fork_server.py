"""A process that has imported what a run needs and makes copies of itself, each of which becomes a run.

It reads a line of JSON for each run from its standard input and answers on its standard output. It computes nothing and
has one thread, so that a copy is whole; where that is not so any more, it refuses. When its input ends it ends, and its
copies with it: they wait at a pipe of its own. Linux; see :mod:`recbole_logq.prepared` for the other side.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import sys
import threading
import traceback
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

from recbole_logq import children

NEEDED = (
    "recbole_logq.comparisons.one_run",
    "recbole_logq.comparisons.user_values",
    "recbole_logq.config",
    "recbole_logq.data.dataset.fingerprint",
    "recbole_logq.data.dataset.item_counts",
    "recbole_logq.data.dataset.protocol",
    "recbole_logq.data.prepare",
    "recbole_logq.evaluation.measures",
    "recbole_logq.experiment.logs",
    "recbole_logq.experiment.run",
    "recbole_logq.models.sasrec",
    "recbole_logq.models.two_tower",
    "recbole_logq.training.create",
    "threadpoolctl",
)
"""Modules that every run imports, or most of them."""
_PURE = 1
"""Threads that a process may have to be copied."""


def why_not() -> str | None:
    """Why this process cannot be copied; None where it can."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > _PURE:
        return f"{threads} threads"
    torch = sys.modules.get("torch")
    return "CUDA is in use" if torch is not None and torch.cuda.is_initialized() else None


class Server:
    """Requests in, answers out, and what has become of the copies in between."""

    def __init__(self) -> None:
        self.before = dict(os.environ)
        self.answers = os.dup(1)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 1)  # what a library prints is no answer
        os.close(null)
        self.life, self.alive = os.pipe()
        self.woken, waker = os.pipe()
        os.set_blocking(self.woken, False)
        os.set_blocking(waker, False)
        signal.set_wakeup_fd(waker)
        signal.signal(signal.SIGCHLD, lambda *unused: None)
        self.running: dict[int, int] = {}
        """Numbers of requests by process."""

    def serve(self) -> Callable[[], int] | None:
        """Answer until the input ends.

        Returns:
            The work of a copy, in that copy; None in the server itself, when the input has ended.
        """
        text = b""
        while True:
            ready, _, _ = select.select([0, self.woken], [], [])
            if self.woken in ready:
                os.read(self.woken, 4096)
                self._bury()
            if 0 not in ready:
                continue
            if not (part := os.read(0, 65536)):
                return None
            *lines, text = (text + part).split(b"\n")
            for line in lines:
                if (work := self._do(json.loads(line))) is not None:
                    return work

    def _say(self, answer: dict[str, Any]) -> None:
        os.write(self.answers, json.dumps(answer).encode() + b"\n")

    def _bury(self) -> None:
        while self.running:
            process, status = os.waitpid(-1, os.WNOHANG)
            if not process:
                return
            self._say({"ended": self.running.pop(process), "status": os.waitstatus_to_exitcode(status)})

    def _do(self, request: dict[str, Any]) -> Callable[[], int] | None:
        if "signal" in request:
            for process, number in self.running.items():
                if number == request["number"]:
                    os.kill(process, request["signal"])
            return None
        reason = why_not()
        try:
            process = os.fork() if reason is None else -1
        except OSError as error:
            process, reason = -1, str(error)
        if process == 0:
            self._become(request)
            return lambda: _work(request)
        if process > 0:
            self.running[process] = request["number"]
        self._say({"started": request["number"], "process": process, "reason": reason})
        return None

    def _become(self, request: dict[str, Any]) -> None:
        """Everything of the server's is closed or set back; the rest is as the request says."""
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        os.setsid()
        os.dup2(self.life, 0)  # as of a process that children.start has started
        log = os.open(request["log"], os.O_WRONLY | os.O_APPEND)
        os.dup2(log, 1)
        os.dup2(log, 2)
        os.closerange(3, max(self.answers, self.life, self.alive, self.woken, log) + 2)
        before = os.getcwd()
        os.chdir(request["folder"])
        sys.path[:] = [os.getcwd() if path == before else path for path in sys.path]
        imported = {name: value for name, value in os.environ.items() if name not in self.before}
        os.environ.clear()
        os.environ.update({**imported, **request["environment"]})
        children.mark()


def _work(request: dict[str, Any]) -> int:
    import numpy as np
    import pyarrow
    import torch
    from threadpoolctl import threadpool_limits

    np.random.seed()  # two processes begin differently; a run sets its own seeds
    torch.seed()
    threads = int(request["threads"])
    if torch.get_num_threads() != threads:
        torch.set_num_threads(threads)
        threadpool_limits(threads)
        pyarrow.set_cpu_count(threads)
    module, *words = request["words"]
    sys.argv = [str(Path(import_module(module).__file__ or module)), *words]
    return int(import_module(module).main(words))


def main() -> int:
    """Import, then serve."""
    server = Server()
    from recbole_logq import compat

    compat.apply()
    for module in NEEDED:
        import_module(module)
    gc.collect()
    gc.freeze()  # a collection in a copy would touch, and so copy, all memory
    work = server.serve()
    if work is not None:
        _end(work)
    return 0


def _end(work: Callable[[], int]) -> NoReturn:
    """Work, and end at once: to take down what the server has imported would copy its memory first."""
    status = 1
    try:
        status = work()
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        # As the interpreter's own end does: threads are waited for, then what was registered is called.
        threading._shutdown()  # type: ignore[attr-defined]
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


if __name__ == "__main__":
    sys.exit(main())
