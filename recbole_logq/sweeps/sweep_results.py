"""What a sweep leaves behind for programs: ``results.json``, ``results.csv`` and ``best.yaml``."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from recbole_logq.experiment.run_store import Record
from recbole_logq.files import write_json, write_text
from recbole_logq.sweeps.sweep_check import settings_of
from recbole_logq.sweeps.sweep_plan import Search, SweepPlan

_COLUMNS = ("number", "status", "best_score", "best_epoch", "epochs", "train_cpu_seconds")


def best_settings(search: Search, winner: Record, gpus: float) -> dict[str, Any]:
    """Model, dataset and every setting of the winner, as ``run`` takes them.

    A trial that was stopped, by the scheduler or by CPU time, ends at the same epoch when it is run again, provided
    that the learning rate does not follow a schedule over all epochs.
    """
    settings = settings_of(search, winner["point"], gpus)
    timed = settings.get("max_train_cpu_seconds") is not None or winner["status"] == "stopped"
    if timed and settings.get("lr_schedule", "constant") == "constant":
        settings.pop("max_train_cpu_seconds", None)
        settings["epochs"] = winner["epochs"]
    settings.pop("show_progress", None)
    return {"model": search.model, "dataset": search.dataset, **settings}


def write_best(path: Path, search: Search, winner: Record, metric: str, plan: SweepPlan) -> None:
    """Write ``best.yaml``."""
    threads = max(int(plan.settings.cpus), 1)
    head = [
        f"# The best of a sweep: trial {winner['number']}, validation {metric} {winner['best_score']!r}.",
        f"#   OMP_NUM_THREADS={threads} uv run run_recbole_logq.py --config_files={path.name}",
        "# gives that score again on a processor of the same kind, with as many threads.",
    ]
    content = yaml.safe_dump(best_settings(search, winner, plan.settings.gpus), sort_keys=False)
    write_text(path, "\n".join([*head, content]))


def write_results(folder: Path, content: dict[str, Any]) -> None:
    """Write ``results.json`` and ``results.csv``, a line for each trial."""
    write_text(folder / "results.csv", _csv(content["searches"]))
    write_json(folder / "results.json", content)


def _csv(searches: Sequence[dict[str, Any]]) -> str:
    names = list(dict.fromkeys(name for search in searches for record in search["trials"] for name in record["point"]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["name", "model", "dataset", *_COLUMNS, "seconds", *names, "winner", "error"])
    for search in searches:
        for record in search["trials"]:
            row = [search["name"], search["model"], search["dataset"], *(record[key] for key in _COLUMNS)]
            row += [round(record["ended"] - record["started"], 3), *(record["point"].get(name, "") for name in names)]
            writer.writerow([*row, record["number"] == search["winner"], record["error"] or ""])
    return buffer.getvalue()
