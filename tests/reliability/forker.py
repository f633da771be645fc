"""Commands in processes that are forked off one that has imported everything, and ended from outside.

Started by test_signals.py: a line of JSON comes in, such as ``{"words": [...], "folder": ..., "pause": "os.fsync",
"signal": "TERM", "limit": 1000}``, and one goes out: how the command ended, what it said and which processes it left.
At the first call of the function in ``pause`` the command stands still, as on a slow disk, and there the signal meets
it; or when the file in ``when`` is there. No file grows beyond ``limit`` bytes: to a command, a disk that is full.
"""

from __future__ import annotations

import glob
import importlib
import json
import os
import resource
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import psutil
import torch

import recbole_logq.audits.time_order_audit
import recbole_logq.data.source.convert
import recbole_logq.experiment.evaluate
import recbole_logq.experiment.logs
import recbole_logq.experiment.run
import recbole_logq.lab.command
import recbole_logq.serving.export
import recbole_logq.serving.recommend
import recbole_logq.training.create  # noqa: F401
from recbole_logq.cli import main
from recbole_logq.config import Config

torch.set_num_threads(1)
SECONDS = 60
PATIENCE = 15


def pause(name: str, sign: int, first: bool = True) -> None:
    """Stand still when the function has been called, and say so."""
    module, _, attribute = name.rpartition(".")
    place = importlib.import_module(module)
    function: Callable[..., Any] = getattr(place, attribute)

    def paused(*args: Any, **kwargs: Any) -> Any:
        nonlocal first
        found = function(*args, **kwargs) if attribute != "replace" else None
        if first:
            first = False
            os.write(sign, b".")
            time.sleep(SECONDS)
        return function(*args, **kwargs) if attribute == "replace" else found

    setattr(place, attribute, paused)


def wait_for(pattern: str, sign: int) -> None:
    """Say so when a file is there."""
    while not glob.glob(pattern):
        time.sleep(0.1)
    os.write(sign, b".")


def child(job: dict[str, Any], sign: int, said: int) -> None:
    status = 99
    try:
        os.setsid()
        os.chdir(job["folder"])
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        os.dup2(said, 2)
        if job.get("pause"):
            pause(job["pause"], sign)
        if job.get("when"):
            threading.Thread(target=wait_for, args=(job["when"], sign), daemon=True).start()
        if job.get("limit"):
            resource.setrlimit(resource.RLIMIT_FSIZE, (job["limit"], job["limit"]))
        status = main(job["words"])
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(status)


def left(processes: list[psutil.Process]) -> list[str]:
    """What is still there when they had time to end, and ends it."""
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    found = [" ".join(process.cmdline())[:200] for process in alive if process.is_running()]
    for process in alive:
        process.kill()
    return found


def execute(job: dict[str, Any]) -> dict[str, Any]:
    (sign, sign_in), (said, said_in) = os.pipe(), os.pipe()
    process = os.fork()
    if process == 0:
        child(job, sign_in, said_in)
    os.close(sign_in), os.close(said_in)
    met, offspring = False, []
    text = b""
    watched = [sign, said]
    while watched:  # a pipe is at its end when the command has ended
        for pipe in select.select(watched, [], [])[0]:
            part = os.read(pipe, 65536)
            if not part:
                watched.remove(pipe)
            elif pipe == said:
                text += part
            elif job.get("signal"):
                met = True
                offspring = psutil.Process(process).children(recursive=True)
                os.kill(process, getattr(signal, f"SIG{job['signal']}"))
    os.close(sign), os.close(said)
    ended = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    return {"status": ended, "said": text.decode(), "met": met, "left": left(offspring), "had": len(offspring)}


if __name__ == "__main__":
    for model in ("TwoTowerLogQ", "SASRecLogQ"):
        Config(model, "tiny")
    for line in sys.stdin:
        print(json.dumps(execute(json.loads(line))), flush=True)
