"""Runs that are killed and resumed, in processes that are forked off one that has imported everything.

Started by test_kills.py: a line of JSON comes in, ``{"model": ..., "settings": ..., "kill": [where, n], "data":
folder}``, and one goes out: how the killed process ended, what it left, and whether the resumed run is the whole one.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import signal
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

import recbole_logq.data.dataset.fingerprint
import recbole_logq.data.dataset.protocol
import recbole_logq.data.prepare
import recbole_logq.experiment.logs
import recbole_logq.training.create  # noqa: F401
from recbole_logq.config import Config
from recbole_logq.experiment import run as experiment
from recbole_logq.files import write_json
from recbole_logq.training import checkpoint, ranking

torch.set_num_threads(1)
MODELS = ("TwoTowerLogQ", "SASRecLogQ", "BPR")
# Of a checkpoint: what is measured of the process, with a clock for one, and names drawn by chance.
CLOCKS = {"spent", "best_file", "train_seconds", "train_cpu_seconds", "peak_memory_mb"}


def digest(value: Any) -> str:
    """Of everything in a checkpoint that is not a clock."""
    found = hashlib.sha256()

    def add(one: Any) -> None:
        found.update(type(one).__name__.encode())
        if isinstance(one, torch.Tensor):
            found.update(str((one.dtype, one.shape)).encode() + one.contiguous().numpy().tobytes())
        elif isinstance(one, dict):
            for key, item in one.items():
                if key not in CLOCKS:
                    add(key), add(item)
        elif isinstance(one, list | tuple):
            for item in one:
                add(item)
        else:
            found.update(repr(one).encode())

    add(value)
    return found.hexdigest()[:16]


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def at_call(n: int, function: Callable[..., Any], then: Callable[..., None]) -> Callable[..., Any]:
    """``function``, and at its n-th call ``then`` with the same arguments instead."""
    calls = 0

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        return then(*args, **kwargs) if calls == n else function(*args, **kwargs)

    return counted


def write_half(content: Any, file: Any) -> None:
    """What is on the disk when a process dies while it writes."""
    whole = io.BytesIO()
    torch.save(content, whole)
    file.write(whole.getvalue()[: whole.tell() // 2])
    file.flush()
    os.fsync(file.fileno())
    die()


def prepare_to_die(where: str, n: int, trainer: Any) -> None:
    if where == "step":  # its loss is there, its gradients are not
        trainer.model.calculate_loss = at_call(n, trainer.model.calculate_loss, lambda *_: die())
    elif where == "evaluation":
        ranking._mark = at_call(n, ranking._mark, lambda *_: die())
    elif where == "writing":
        checkpoint.torch = SimpleNamespace(**{**vars(torch), "save": at_call(n, torch.save, write_half)})
    elif where == "between":  # the best model is written and the state to go on from is not yet

        def replace_and_die(*args: Any) -> None:
            replace(*args)
            die()

        replace = os.replace
        os.replace = at_call(n, replace, replace_and_die)
    else:
        raise ValueError(where)


def in_a_process(folder: Path, job: dict[str, Any], kill: Any, resume: str | None) -> tuple[int, Any]:
    """The wait status of a run, and what it wrote about itself."""
    answer = folder / "answer.json"
    answer.unlink(missing_ok=True)
    process = os.fork()
    if process == 0:
        status = 1
        try:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            os.chdir(folder)
            result = experiment.run(
                job["model"],
                "tiny",
                config_dict=job["settings"],
                resume=resume,
                callback=lambda trainer, _: kill and prepare_to_die(*kill, trainer),
            )
            best = result["checkpoint"]
            files = {name: digest(checkpoint.load(name)) for name in (best, best.replace(".pth", "-last.pth"))}
            metrics = {key: result[key] for key in ("test_result", "best_valid_result", "best_epoch", "fingerprint")}
            answer.write_text(json.dumps({"files": list(files.values()), "metrics": metrics}))
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)
    _, ended = os.waitpid(process, 0)
    return ended, json.loads(answer.read_text()) if answer.exists() else None


def together(folder: Path, job: dict[str, Any]) -> dict[str, Any]:
    """So many runs started at once in one folder."""
    processes = []
    for number in range(job["together"]):
        processes.append(os.fork())
        if processes[-1] == 0:
            status = 1
            try:
                os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
                os.chdir(folder)
                result = experiment.run(job["model"], "tiny", config_dict={**job["settings"], "state": "INFO"})
                write_json(f"{number}.json", result)
                status = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(status)
    ended = [os.waitpid(process, 0)[1] for process in processes]
    return {
        "ended": ended,
        "results": [path.read_text() for path in sorted(folder.glob("*.json"))],
        "files": [path.name for path in (folder / "saved").iterdir()],
        "logs": [path.read_text() for path in folder.glob("log/*/*.log")],
    }


def main() -> None:
    for model in MODELS:  # imports what a run needs, before the first fork
        Config(model, "tiny")
    root, whole = Path.cwd(), {}
    for number, line in enumerate(sys.stdin):
        job = json.loads(line)
        if "together" in job:
            folder = root / f"{number}-together"
            folder.mkdir()
            (folder / "data").symlink_to(job["data"])
            print(json.dumps(together(folder, job)), flush=True)
            continue
        key = json.dumps([job["model"], job["settings"]])
        if key not in whole:
            folder = root / f"{number}-whole"
            folder.mkdir()
            (folder / "data").symlink_to(job["data"])
            whole[key] = in_a_process(folder, job, None, None)[1]
        folder = root / f"{number}"
        folder.mkdir()
        (folder / "data").symlink_to(job["data"])
        ended, _ = in_a_process(folder, job, job["kill"], None)
        left = sorted(path.name for path in (folder / "saved").iterdir())
        last = [name for name in left if name.endswith("-last.pth")]
        resume = f"saved/{last[0]}" if last else None
        epoch = checkpoint.load(folder / resume)["epoch"] if resume else None
        _, resumed = in_a_process(folder, job, None, resume)
        answer = {
            "signal": os.WTERMSIG(ended) if os.WIFSIGNALED(ended) else 0,
            "resumed_after_epoch": epoch,
            "half_written": [name for name in left if name.endswith(".tmp")],
            "whole": whole[key],
            "resumed": resumed,
            "files": sorted(path.name for path in (folder / "saved").iterdir()),
        }
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
