"""Experiments made of many runs: each run ends in one JSON file, a killed one resumes from its last checkpoint."""

from __future__ import annotations

import argparse
import re
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import torch

from recbole_logq import run
from recbole_logq.evaluation import interval
from recbole_logq.experiment.run_store import Number, Part, RunStore, StoredRun, Trained

Entry = dict[str, Any]
"""``model``, ``seeds`` and ``settings`` of one line of a table."""


class ShownEpoch(Part):
    """A line of a run's curve: an epoch after which it was validated; earlier runs stored less of it."""

    epoch: int | None = None
    seconds: Number | None = None
    cpu: Number | None = None
    valid: Number
    test: Number | None = None


class BenchmarkRun(StoredRun, Trained):
    """A run as tables need it; one that was cut has no test result."""

    test_result: dict[str, Number] = {}
    history: list[ShownEpoch]


class Experiment:
    """Runs by name and seed, stored under ``benchmarks/results/<name>/``.

    Args:
        name: Of the experiment.
        dataset: The dataset of all runs.
        runs: Entry by name.
        shared: Settings of all runs.
        extra: Called with a run's result after training; gives what else to store.
    """

    def __init__(
        self,
        name: str,
        dataset: str,
        runs: dict[str, Entry],
        shared: dict[str, Any],
        extra: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    ) -> None:
        self.name, self.dataset, self.runs, self.shared, self.extra = name, dataset, runs, shared, extra
        self.store = RunStore(Path(__file__).parent / "results" / name, BenchmarkRun)

    def main(self, description: str, tables: Callable[[], str]) -> None:
        """Run what is missing, then print the tables."""
        main([self], description, tables)

    def run_missing(self, only: str, seed: int | None) -> None:
        """Run what is not stored of the entries in whose name, after the experiment's, ``only`` is found."""
        for name, entry in self.runs.items():
            for each in entry["seeds"]:
                is_chosen = re.search(only, f"{self.name} {name}") and seed in (None, each)
                if is_chosen and not self.store.file(f"{name}-{each}").exists():
                    self._train(name, each)

    def stored(self, name: str) -> list[dict[str, Any]]:
        """The finished runs of an entry, by seed."""
        records = (self.store.read(f"{name}-{seed}") for seed in self.runs[name]["seeds"])
        return [record for record in records if record is not None]

    def rows(self, cells: Callable[[list[dict[str, Any]]], list[str]]) -> list[list[str]]:
        """A table line for every entry that has finished runs: its name, its seeds, and ``cells`` of its runs."""
        lines = []
        for name in self.runs:
            if runs := self.stored(name):
                seeds = ", ".join(str(run["seed"]) for run in runs)
                lines.append([name, seeds, *cells(runs)])
        return lines

    def _train(self, name: str, seed: int) -> None:
        entry = self.runs[name]
        folder = Path("saved") / self.name / f"{name}-{seed}"
        interrupted = sorted(folder.glob("*-last.pth"))

        def observe(trainer: Any, loaders: Any) -> None:
            # The test curve is recorded at every validation and looked at by nobody before the end.
            trainer.observed_data = loaders[2]

        settings = {**self.shared, **entry["settings"], "seed": seed, "checkpoint_dir": str(folder)}
        result = run(
            entry["model"],
            self.dataset,
            config_dict=settings,
            resume=str(interrupted[-1]) if interrupted else None,
            callback=observe,
        )
        record = _compact(result) | (self.extra(result) if self.extra else {})
        self.store.write(f"{name}-{seed}", record)


def main(experiments: Iterable[Experiment], description: str, tables: Callable[[], str]) -> None:
    """Run what is missing of all experiments, then print the tables."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--only", default="", help="run entries in whose experiment and name this regular expression is found"
    )
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.table:
        for experiment in experiments:
            experiment.run_missing(arguments.only, arguments.seed)
    print(tables())


def _compact(result: dict[str, Any]) -> dict[str, Any]:
    """What the tables need: the result, how it was made, and one line a validation."""
    kept = ("model", "dataset", "seed", "given", "versions", "fingerprint", "test_result", "best_valid_result")
    history = [
        {
            "epoch": row["epoch"] + 1,
            "seconds": row["train_seconds"],
            "cpu": row["train_cpu_seconds"],
            "valid": row["valid_score"],
            "test": row["observed_result"]["ndcg@10"],
        }
        for row in result["history"]
        if "valid_score" in row
    ]
    return {key: result[key] for key in (*kept, "protocol", "peak_memory_mb", "device")} | {"history": history}


def best(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch that training kept: of several with the best validation score, the last."""
    return max(reversed(history), key=lambda row: row["valid"])


def spread(values: list[float]) -> str:
    """Mean and standard deviation."""
    mean = statistics.mean(values)
    return f"{mean:.4f} ± {statistics.stdev(values):.4f}" if len(values) > 1 else f"{mean:.4f}"


def mean_and_interval(values: list[float]) -> str:
    """Mean and the half width of its 95 % t interval over seeds; the mean alone of one value."""
    over_seeds = interval(values)
    half = over_seeds.half_width
    return f"{over_seeds.mean:.4f}" if half is None else f"{over_seeds.mean:.4f} ± {half:.4f}"


def prints(runs: list[dict[str, Any]]) -> str:
    """The test sets' fingerprints."""
    return ", ".join(dict.fromkeys(f"`{run['fingerprint']['test']}`" for run in runs))
