"""How long things take to start: CPU seconds of requests, first steps and epochs, wall seconds of a comparison.

    uv run benchmarks/start_up.py --before=FOLDER    # against another checkout, with its own .venv
    uv run benchmarks/start_up.py --only=compare     # requests, steps, threads or compare
    uv run benchmarks/start_up.py --table            # only what is stored

Every measurement is a whole process, in turns with the other checkout; results are medians. CPU seconds are user and
system time together, of the process and of all that it has started. One thread, except for `threads`: there two, with
and without another program that keeps every core busy, and the CPU seconds are those of an epoch. A process before the
first round warms the disk's cache. The load of the machine stands in the result: seconds of wall time mean little where
it is high. Some ten minutes on a quiet machine: what takes long is measured once, or as often as `--rounds` says.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from recommend_start import ROOT, revision, started

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "start_up.json"
MODULE = ["-m", "recbole_logq"]
OWN = ["--model=TwoTowerLogQ", "--dataset=ml-100k"]
FIRST_STEP = """
import os, sys
import torch
from recbole_logq import run

def watch(trainer, loaders):
    trainer.optimizer.register_step_post_hook(lambda *given: os._exit(0))

settings = {"epochs": 1, "show_progress": False, "state": "ERROR", "use_gpu": False}
run(sys.argv[1], "ml-100k", None, settings, saved=False, callback=watch)
"""
EPOCHS = [
    "--epochs=3",
    "--state=ERROR",
    "--show_progress=false",
    "--use_gpu=false",
    "--eval_step=0",
    "--output=out.json",
]
EIGHT = ["compare", "--models=TwoTowerLogQ,SASRecLogQ,BPR,TwoTowerUniform", "--dataset=ml-100k", "--seeds=2"]
JOBS: dict[str, dict[str, list[str]]] = {
    "requests": {
        "`--help`": [*MODULE, "--help"],
        "a model that is not there": [*MODULE, "--model=TwoTowerLogR", "--dataset=ml-100k"],
        "a setting that is not there": [*MODULE, *OWN, "--lerning_rate=1"],
        "a value of the wrong kind": [*MODULE, *OWN, "--epochs=many"],
        "`models`": [*MODULE, "models"],
    },
    "steps": {
        "`import torch, pandas` alone": ["-c", "import torch, pandas"],
        "the first step of TwoTowerLogQ": ["-c", FIRST_STEP, "TwoTowerLogQ"],
        "the first step of BPR": ["-c", FIRST_STEP, "BPR"],
    },
    "threads": {
        "an epoch, two threads": [*MODULE, *OWN, *EPOCHS],
        "an epoch, two threads, beside a busy program": [*MODULE, *OWN, *EPOCHS],
    },
    "compare": {
        "eight runs of two epochs": [*MODULE, *EIGHT, "--epochs=2", "--use_gpu=false", "--processes=1"],
    },
}
ROUNDS = {"requests": 3, "steps": 3, "threads": 1, "compare": 1}
BUSY = "busy"
UNITS = {"wall_seconds": "wall s", "training_seconds": "of these training, wall s", "cpu_seconds": "CPU s"}


def main() -> None:
    """Measure in turns, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="checkout of the revision to compare with")
    parser.add_argument("--rounds", type=int, help="of every group")
    parser.add_argument("--only", choices=JOBS)
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if not arguments.table:
        for group in [arguments.only] if arguments.only else JOBS:
            measure(arguments, group)
    print(table(arguments.output))


def measure(arguments: argparse.Namespace, group: str) -> None:
    """One group of jobs; the others stay in the file as they are."""
    checkouts = {**({"before": arguments.before.resolve()} if arguments.before else {}), "now": ROOT}
    load = os.getloadavg()[0]
    runs: dict[str, dict[str, list[dict[str, float]]]] = {}
    for number in range((arguments.rounds or ROUNDS[group]) + 1):
        for job, words in JOBS[group].items():
            for side, checkout in checkouts.items():
                if number == 0 and group in ("threads", "compare"):  # long, and the other jobs have warmed the cache
                    continue
                with tempfile.TemporaryDirectory() as folder, busy((os.cpu_count() or 1) if BUSY in job else 0):
                    start = timed(checkout, Path(folder), words, 2 if group == "threads" else 1)
                if number:
                    runs.setdefault(job, {}).setdefault(side, []).append(start)
                    print(f"round {number}, {job}, {side}: {start}", flush=True)
    output = arguments.output
    content: dict[str, Any] = json.loads(output.read_text(encoding="utf-8")) if output.is_file() else {}
    medians = {
        job: {
            side: {key: round(statistics.median(start[key] for start in starts), 2) for key in starts[0]}
            for side, starts in of.items()
        }
        for job, of in runs.items()
    }
    content[group] = {
        "date": date.today().isoformat(),
        "cores": os.cpu_count(),
        "revisions": {side: revision(checkout) for side, checkout in checkouts.items()},
        "versions": versions(),
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[0], 1),
        "median": medians,
        "runs": runs,
    }
    output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def timed(checkout: Path, folder: Path, words: list[str], threads: int) -> dict[str, float]:
    """A process from its start to its end; of an epoch, what the run itself says."""
    figures = started(checkout, folder, words, threads)
    if (output := folder / "out.json").is_file():
        history = json.loads(output.read_text(encoding="utf-8"))["history"]
        spent = [epoch["train_cpu_seconds"] for epoch in history]
        return {"cpu_seconds": round(statistics.median(b - a for a, b in pairwise(spent)), 3)}
    if records := list(folder.glob("comparisons/*/runs/*.json")):
        figures["training_seconds"] = round(sum(map(training_seconds, records)), 2)
    return figures


def training_seconds(record: Path) -> float:
    """Wall seconds of a compared run's epochs, without evaluation: what no other way to start can save."""
    history = json.loads(record.read_text(encoding="utf-8"))["result"]["history"]
    return float(history[-1]["train_seconds"])


@contextmanager
def busy(count: int) -> Iterator[None]:
    """That many programs, each of which keeps a core busy, as another training would."""
    code = "import torch\nx = torch.rand(1500, 1500)\nwhile True: x @ x"
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    processes = [subprocess.Popen([sys.executable, "-c", code], env=environment) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def table(path: Path = RESULT) -> str:
    """The stored result as Markdown; a line that says so where there is none yet."""
    if not path.is_file():
        return "Not measured yet."
    content = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for group in (group for group in JOBS if group in content):
        measured = content[group]
        load = f"{measured['load_before']} - {measured['load_after']}"
        for job, medians in measured["median"].items():
            for key, unit in UNITS.items() if group == "compare" else [("cpu_seconds", "CPU s")]:
                spent = [medians.get(state, {}).get(key) for state in ("before", "now")]
                if any(value is not None for value in spent):  # an older result lacks what is measured since
                    rows.append([job, unit, *("" if value is None else f"{value:.2f}" for value in spent), load])
    return markdown_table(["process", "measured", "before", "now", "load"], rows)


if __name__ == "__main__":
    main()
