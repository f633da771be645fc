"""What a second thread is worth to one run: an epoch with one thread and with two, alone and beside another program.

    uv run benchmarks/threads.py [--rounds=5] [--only=MODEL]     # ml-1m; some five minutes
    uv run benchmarks/threads.py --table                         # only what is stored

Every measurement is a whole process, in turns; what counts are the wall and the CPU seconds of an epoch after the
first, as the run itself reports them. The other program multiplies matrices on one thread without a pause, as a
second training would. With two cores and one thread the run has a core for itself either way. ``OMP_NUM_THREADS``
sets the number; waiting threads sleep (``OMP_WAIT_POLICY=PASSIVE``, which every command sets).
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import tempfile
from datetime import date
from itertools import pairwise
from pathlib import Path
from typing import Any

from recommend_start import ROOT, revision, started
from start_up import busy

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "threads.json"
MODELS: dict[str, list[str]] = {
    "TwoTowerCorrectedLogQ": ["--dataset=ml-1m", "--epochs=2"],
    "SASRecCorrectedLogQ": ["--dataset=ml-100k", "--epochs=3"],
    "SASRecCorrectedLogQ, width 128": ["--dataset=ml-100k", "--epochs=3", "--embedding_size=128", "--inner_size=512"],
}
SETTINGS = [
    "--state=ERROR",
    "--show_progress=false",
    "--use_gpu=false",
    "--eval_step=0",
    "--output=out.json",
    "--seed=1",
]
THREADS = (1, 2)
NEIGHBOURS = {"alone": 0, "beside another program": 1}


def main() -> None:
    """Measure in turns, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=MODELS)
    parser.add_argument("--table", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        for name in [arguments.only] if arguments.only else MODELS:
            measure(name, arguments.rounds)
    print(table())


def measure(name: str, rounds: int) -> None:
    """One model; the others stay in the file as they are."""
    load = os.getloadavg()[0]
    runs: dict[str, list[dict[str, float]]] = {}
    for _ in range(rounds):
        for neighbour, count in NEIGHBOURS.items():
            for threads in THREADS:
                with tempfile.TemporaryDirectory() as folder, busy(count):
                    seconds = epoch_seconds(name, Path(folder), threads)
                runs.setdefault(f"{neighbour}, {threads}", []).append(seconds)
                print(name, neighbour, threads, seconds, flush=True)
    content: dict[str, Any] = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {}
    content[name] = {
        "date": date.today().isoformat(),
        "cores": os.cpu_count(),
        "revision": revision(ROOT),
        "versions": versions(),
        "load_before": round(load, 1),
        "settings": [*MODELS[name], *SETTINGS],
        "runs": runs,
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def epoch_seconds(name: str, folder: Path, threads: int) -> dict[str, float]:
    """Wall and CPU seconds of the epochs after the first."""
    model = name.split(",")[0]
    words = ["-m", "recbole_logq", f"--model={model}", *MODELS[name], *SETTINGS]
    if "--dataset=ml-1m" in words:
        words.append(f"--data_path={ROOT / 'datasets'}")
    started(ROOT, folder, words, threads)
    history = json.loads((folder / "out.json").read_text(encoding="utf-8"))["history"]
    return {
        unit: round(statistics.median(b - a for a, b in pairwise(epoch[f"train_{unit}"] for epoch in history)), 3)
        for unit in ("seconds", "cpu_seconds")
    }


def table() -> str:
    """The stored measurement."""
    if not RESULT.is_file():
        return "Not measured yet."
    rows = []
    for name, stored in json.loads(RESULT.read_text(encoding="utf-8")).items():
        for neighbour in NEIGHBOURS:
            (wall_1, cpu_1), (wall_2, cpu_2) = (
                [
                    statistics.median(run[unit] for run in stored["runs"][f"{neighbour}, {threads}"])
                    for unit in ("seconds", "cpu_seconds")
                ]
                for threads in THREADS
            )
            cells = [f"{wall_1:.2f}", f"{wall_2:.2f}", f"{wall_2 / wall_1:.2f}", f"{cpu_1:.2f}", f"{cpu_2:.2f}"]
            rows.append([name, neighbour, *cells])
    heads = ["model", "", "1 thread, wall s", "2 threads, wall s", "ratio", "1 thread, CPU s", "2 threads, CPU s"]
    return markdown_table(heads, rows)


if __name__ == "__main__":
    main()
