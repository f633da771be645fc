"""Commands in copies of a process that has imported everything: real processes, without seconds of imports for each.

Started by the fixture ``commands`` of conftest.py: a line of JSON comes in and one goes out. ``{"words": [...],
"folder": ..., "environment": {...}, "out": FILE, "err": FILE}`` starts a command and answers its process; ``{"poll":
PROCESS}`` answers its exit status, or null while it runs. The words are those of ``python -m recbole_logq``, or ``-c``
and code, or a script, with theirs.
"""

from __future__ import annotations

import gc
import json
import os
import runpy
import signal
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

NEEDED = (
    "ray.tune",
    "recbole_logq.comparisons.comparison",
    "recbole_logq.comparisons.one_run",
    "recbole_logq.data.dataset.protocol",
    "recbole_logq.experiment.logs",
    "recbole_logq.experiment.run",
    "recbole_logq.sweeps.sweep_check",
    "recbole_logq.sweeps.trial",
    "recbole_logq.training.create",
)


def become(job: dict[str, Any]) -> list[str]:
    """Everything that a process of its own would have; the words of its command line."""
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a job in the background of a shell ignores it
    for number, name in ((0, os.devnull), (1, job["out"]), (2, job["err"])):
        opened = os.open(name, os.O_RDWR | os.O_CREAT | (os.O_APPEND if number else 0))
        os.dup2(opened, number)
        os.close(opened)
    os.closerange(3, 64)
    os.chdir(job["folder"])
    sys.path[0] = os.getcwd()
    os.environ.clear()
    os.environ.update(job["environment"])
    return list(job["words"])


def execute(words: list[str]) -> int:
    """What ``python`` would do."""
    first, *rest = words
    if first == "-c":
        sys.argv = ["-c", *rest[1:]]
        exec(compile(rest[0], "<string>", "exec"), {"__name__": "__main__"})
        return 0
    if first.endswith(".py"):
        sys.argv, sys.path[0] = words, str(Path(first).parent)
        runpy.run_path(first, run_name="__main__")
        return 0
    from recbole_logq import cli

    sys.argv = [str(Path(cli.__file__).with_name("__main__.py")), *words]
    return cli.main(words)


def serve() -> list[str] | None:
    """The words of a command, in its process; None in the server, when its input has ended."""
    for line in sys.stdin:
        job = json.loads(line)
        if "poll" in job:
            process, status = os.waitpid(job["poll"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if process else None
        else:
            answer = os.fork()
            if answer == 0:
                return become(job)
        print(json.dumps(answer), flush=True)
    return None


def main() -> int:
    from recbole_logq.experiment import ray_cluster

    for key, value in ray_cluster._QUIET.items():
        os.environ.setdefault(key, value)
    for module in NEEDED:
        try:
            import_module(module)
        except ModuleNotFoundError as error:  # ray is not needed by all that is tested
            if error.name != "ray":
                raise
    threads = os.listdir("/proc/self/task") if os.path.isdir("/proc/self/task") else ["one"]
    assert len(threads) == 1, "a process with threads cannot be copied"
    gc.collect()
    gc.freeze()
    print("ready", flush=True)
    words = serve()
    return 0 if words is None else execute(words)


if __name__ == "__main__":
    sys.exit(main())
