"""How long the shipped sweeps may take: one trial of each, for a limited time, and arithmetic.

    uv run benchmarks/sweep_times.py [--files="two-tower sasrec"] [--limit=60]    # minutes; --table: what is stored

A trial in the middle of its space trains on one core until ``limit`` CPU seconds of training are over; an epoch then
costs CPU seconds of training and of validation. Successive halving lets one of ``reduction_factor``
trials pass each rung, which gives the epochs that a trial has on average; where ``max_cpu_seconds`` is less than all
trials would need, it ends the search. What is left out: that ``stopping_step`` ends some trials earlier, that the first
trials to reach a rung pass it, the start of Ray, and that a larger network elsewhere in the space costs more. So this
is an estimate, and the sweeps themselves have not been run.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch

from recbole_logq import run
from recbole_logq.markup import markdown_table
from recbole_logq.sweeps.parameter import Point
from recbole_logq.sweeps.space import resolved
from recbole_logq.sweeps.sweep_check import settings_of
from recbole_logq.sweeps.sweep_plan import Search, SweepSettings, make_sweep

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "sweep_times.json"
FILES = "two-tower sasrec fair-baselines"
CORES = 2


def main() -> None:
    """Measure every search in a process of its own and store the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", default=FILES, help="of config/sweep/, without .yaml")
    parser.add_argument("--limit", type=float, default=60.0, help="CPU seconds of training")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--only", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.only:
        print(json.dumps(measured(arguments.files, arguments.only, arguments.limit)))
        return
    for file in () if arguments.table else arguments.files.split():
        searches = {}
        for search in _plan(file).searches:
            words = [f"--files={file}", f"--only={search.name}", f"--limit={arguments.limit}"]
            process = subprocess.run([sys.executable, __file__, *words], capture_output=True, text=True, check=True)
            searches[search.name] = json.loads(process.stdout.splitlines()[-1])
            print(file, search.name, searches[search.name], flush=True)
        stored = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
        stored[file] = {"date": date.today().isoformat(), "limit": arguments.limit, "searches": searches}
        RESULT.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print(table())


def measured(file: str, name: str, limit: float) -> dict[str, Any]:
    """One trial: CPU seconds of an epoch's training and of its validation, with one thread."""
    torch.set_num_threads(1)
    search = next(search for search in _plan(file).searches if search.name == name)
    point = middle(search)
    validations: list[float] = []

    def watch(trainer: Any, loaders: Any) -> None:
        validate = trainer._valid_epoch

        def timed(*arguments: Any, **options: Any) -> Any:
            start = process_time()
            score = validate(*arguments, **options)
            validations.append(process_time() - start)
            return score

        trainer._valid_epoch = timed

    with tempfile.TemporaryDirectory() as folder:
        own = {"checkpoint_dir": folder, "max_train_cpu_seconds": limit, "state": "WARNING"}
        result = run(search.model, search.dataset, config_dict={**settings_of(search, point, 0), **own}, callback=watch)
    epochs = len(result["history"])
    return {
        "point": point,
        "seed": result["seed"],
        "epochs": epochs,
        "train_cpu_seconds": round(result["train_cpu_seconds"] / epochs, 3),
        "valid_cpu_seconds": round(sum(validations) / len(validations), 3),
        "fingerprint": result["fingerprint"]["valid"],
    }


def middle(search: Search) -> Point:
    """The middle of every range, of its logarithm where it is logarithmic, and the middle option of every choice."""
    return resolved(search.space, {parameter.name: parameter.middle() for parameter in search.space})


def epochs_of_a_trial(epochs: int, settings: SweepSettings) -> float:
    """On average, when one of ``reduction_factor`` passes each rung."""
    if settings.scheduler is None:
        return float(epochs)
    factor, rung, share, total = settings.scheduler.reduction_factor, settings.scheduler.grace_period, 1.0, 0.0
    before = 0
    while rung < epochs:
        total += share * (rung - before)
        before, rung, share = rung, rung * factor, share / factor
    return total + share * (epochs - before)


def estimate(file: str, name: str, cost: dict[str, Any]) -> dict[str, float]:
    """Epochs of a trial, CPU seconds of training and of validation in all."""
    plan = _plan(file)
    search = next(search for search in plan.searches if search.name == name)
    epochs = epochs_of_a_trial(int(search.settings["epochs"]), plan.settings)
    train = plan.settings.trials * epochs * cost["train_cpu_seconds"]
    share = min(1.0, (plan.settings.max_cpu_seconds or math.inf) / train) if train else 1.0
    valid = plan.settings.trials * epochs * cost["valid_cpu_seconds"]
    return {"epochs": epochs, "train": train * share, "valid": valid * share, "share": share}


def _plan(file: str) -> Any:
    return make_sweep([str(ROOT / "config" / "sweep" / f"{file}.yaml")], {})


def table() -> str:
    """The estimates as Markdown."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    head = [
        "sweep",
        "model",
        "CPU s an epoch: training + validation",
        "epochs of a trial",
        "CPU min in all",
        "ended by",
    ]
    rows = []
    for file, content in stored.items():
        total = 0.0
        for name, cost in content["searches"].items():
            estimated = estimate(file, name, cost)
            minutes = (estimated["train"] + estimated["valid"]) / 60
            total += minutes
            ended = "its CPU seconds" if estimated["share"] < 1 else "its trials"
            epoch = f"{cost['train_cpu_seconds']:.2f} + {cost['valid_cpu_seconds']:.2f}"
            rows.append([file, name, epoch, f"{estimated['epochs']:.1f}", f"{minutes:.0f}", ended])
        rows.append([f"**{file}**", f"all, {CORES} cores: about {total / CORES:.0f} min", "", "", f"{total:.0f}", ""])
    return markdown_table(head, rows)


if __name__ == "__main__":
    main()
