"""What a trial of a sweep pays before it begins, on a new worker of Ray and on one that has served another trial.

    uv run benchmarks/trial_start.py [--rounds=5]    # a minute

A round starts Ray, has it start a worker as a sweep does, and imports there, twice, what a trial imports. CPU seconds
are those of the worker's process: until it answers, and of each import. They are what counts, since workers start side
by side; wall seconds are stored with them. ``--table`` prints what is stored.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from datetime import date
from importlib import import_module
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.experiment.ray_cluster import ray_session
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "trial_start.json"
IMPORTED = (
    "torch",
    "recbole_logq.experiment.beginning",
    "recbole_logq.sweeps.sweep_check",
    "recbole.utils",
    "recbole_logq.data.prepare",
    "recbole_logq.experiment.logs",
    "recbole_logq.training.create",
    "recbole_logq.models.two_tower",
)
"""What ``sweeps/trial.py`` and a run up to its first epoch import."""
STEPS = {
    "start": "the worker answers",
    "first": "imports of its first trial",
    "second": "imports of its second trial",
}


class Worker:
    """A process that serves trials."""

    def spent(self) -> float:
        """CPU seconds of the process until now."""
        return process_time()

    def imports(self) -> tuple[float, float]:
        """Wall and CPU seconds until everything that a trial needs is imported."""
        wall, cpu = perf_counter(), process_time()
        for name in IMPORTED:
            import_module(name)
        return perf_counter() - wall, process_time() - cpu


def measured() -> dict[str, list[float]]:
    """Wall and CPU seconds of each of :data:`STEPS` in one round."""
    with ray_session(num_cpus=1) as ray:
        start = perf_counter()
        worker = ray.remote(num_cpus=1)(Worker).remote()
        cpu = ray.get(worker.spent.remote())
        start_times = [perf_counter() - start, cpu]
        first, second = (ray.get(worker.imports.remote()) for _ in range(2))
    return {"start": start_times, "first": list(first), "second": list(second)}


def table() -> str:
    """Medians of the stored rounds."""
    if not RESULT.is_file():
        return "Not measured yet."
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    rounds = stored["rounds"]
    medians = {step: statistics.median(figures[step][1] for figures in rounds) for step in STEPS}
    rows = [[text, f"{medians[step]:.1f}"] for step, text in STEPS.items()]
    note = f"Medians of {len(rounds)} rounds, on a machine whose load was {stored['load_before']:g} before them."
    return f"{markdown_table(['until', 'CPU s'], rows)}\n\n{note}"


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        rounds: list[Any] = []
        before = os.getloadavg()[0]
        for number in range(arguments.rounds):
            rounds.append({step: [round(value, 3) for value in spent] for step, spent in measured().items()})
            print(f"round {number + 1}: {rounds[-1]}", flush=True)
        content = {"date": date.today().isoformat(), "versions": versions(), "load_before": round(before, 1)}
        RESULT.write_text(json.dumps({**content, "rounds": rounds}, indent=1) + "\n", encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()
