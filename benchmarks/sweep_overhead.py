"""A sweep against the same trials in plain processes, at the same concurrency and threads: wall-clock seconds.

    uv run benchmarks/sweep_overhead.py [--trials=4] [--concurrent=2] [--rounds=3] [--epochs=100]    # 12 minutes

Rounds take turns - plain processes, sweep, plain processes, sweep - so that whatever else the machine does falls on
both; the result is the median of the rounds' ratios. Both sides do everything: the sweep starts Ray, prepares the data,
trains, tests its winner and writes its report; a plain process is a `run` of one trial's settings, with its imports,
its data and its test. Settings and space are those of config/sweep/quick.yaml with more epochs, so that a trial takes
as long as trials do; nothing is stopped early on either side, every process has one thread, and both must find the same
validation scores. A ratio above 1 is what the sweep costs on top. ``--table`` prints what is stored.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import yaml

from recbole_logq.markup import markdown_table
from recbole_logq.sweeps.search import random_points
from recbole_logq.sweeps.sweep_check import settings_of
from recbole_logq.sweeps.sweep_plan import Search, make_sweep

ROOT = Path(__file__).parent.parent
FILE = ROOT / "config" / "sweep" / "quick.yaml"
RESULT = Path(__file__).parent / "results" / "sweep_overhead.json"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def main() -> None:
    """Measure both in turns and store the result after every round."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=4)
    parser.add_argument("--concurrent", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=100, help="of a trial: 100 are about 50 s on one core")
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if not arguments.table:
        rounds: list[dict[str, Any]] = []
        for number in range(arguments.rounds):
            with tempfile.TemporaryDirectory() as name:
                rounds.append(measured(arguments, Path(name)))
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
            write(arguments, rounds)
    print(table(arguments.output))


def write(arguments: argparse.Namespace, rounds: list[dict[str, Any]]) -> None:
    """Store the rounds with what they were made under."""
    content = {"date": date.today().isoformat(), "cores": os.cpu_count(), "dataset": "ml-100k", "seed": 2020}
    content |= {key: getattr(arguments, key) for key in ("trials", "concurrent", "epochs")}
    content |= {"ratio": round(statistics.median(entry["ratio"] for entry in rounds), 3), "rounds": rounds}
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def measured(arguments: argparse.Namespace, folder: Path) -> dict[str, Any]:
    """One round: plain processes, then the sweep.

    Raises:
        RuntimeError: They did not train the same.
    """
    epochs = {"epochs": arguments.epochs, "stopping_step": arguments.epochs, "seed": 2020}
    search = make_sweep([str(FILE)], epochs).searches[0]
    points = random_points(search.space, arguments.trials, 1)
    load = os.getloadavg()[0]
    start = perf_counter()
    with ThreadPoolExecutor(arguments.concurrent) as pool:
        scores = list(
            pool.map(lambda number: plain(search, points[number], folder / f"plain{number}"), range(len(points)))
        )
    plainly = perf_counter() - start
    start = perf_counter()
    words = [f"--{key}={value}" for key, value in epochs.items()]
    words += [f"--trials={arguments.trials}", f"--concurrent={arguments.concurrent}"]
    words += ["--scheduler=none", "--search_seed=1"]
    command("sweep", f"--config_files={FILE}", "--folder=swept", *words, folder=folder)
    swept = perf_counter() - start
    trials = json.loads((folder / "swept" / "results.json").read_text(encoding="utf-8"))["searches"][0]["trials"]
    scores_swept = {json.dumps(trial["point"], sort_keys=True): trial["best_score"] for trial in trials}
    if scores_swept != {json.dumps(point, sort_keys=True): score for point, score in zip(points, scores, strict=True)}:
        raise RuntimeError(f"the sweep found {scores_swept}, plain processes {scores}")
    result = {"plain_seconds": round(plainly, 1), "sweep_seconds": round(swept, 1), "ratio": round(swept / plainly, 3)}
    return {**result, "load_before": round(load, 1), "load_after": round(os.getloadavg()[0], 1)}


def plain(search: Search, point: dict[str, Any], folder: Path) -> float:
    """The validation score of a trial in a process of its own."""
    folder.mkdir()
    settings = {"model": search.model, "dataset": search.dataset, **settings_of(search, point, 0)}
    (folder / "trial.yaml").write_text(yaml.safe_dump(settings), encoding="utf-8")
    command("--config_files=trial.yaml", "--output=result.json", folder=folder)
    return float(json.loads((folder / "result.json").read_text(encoding="utf-8"))["best_valid_score"])


def command(*words: str, folder: Path) -> None:
    """One of the package's commands, quietly."""
    with (folder / "output.log").open("w", encoding="utf-8") as log:
        subprocess.run(
            [sys.executable, "-m", "recbole_logq", *words],
            cwd=folder,
            env=ENVIRONMENT,
            check=True,
            stdout=log,
            stderr=subprocess.STDOUT,
        )


def table(path: Path = RESULT) -> str:
    """The stored result as Markdown; a line that says so where there is none yet."""
    if not path.is_file():
        return "Not measured yet."
    result = json.loads(path.read_text(encoding="utf-8"))
    heading = f"{result['trials']} trials of {result['epochs']} epochs, {result['concurrent']} at a time"
    rows = []
    for number, entry in enumerate(result["rounds"], 1):
        load = f"{entry['load_before']}, {entry['load_after']}"
        rows.append([f"round {number}", entry["plain_seconds"], entry["sweep_seconds"], f"{entry['ratio']:.3f}", load])
    rows.append(["**median**", "", "", f"**{result['ratio']:.3f}**", ""])
    return markdown_table([heading, "plain processes, s", "sweep, s", "ratio", "load before, after"], rows)


if __name__ == "__main__":
    main()
