"""What sweeps of several models found, from their ``results.csv`` under benchmarks/results/<title>/.

    OMP_NUM_THREADS=1 uv run run_recbole_logq.py sweep --config_files=config/sweep/general-ml-1m.yaml --concurrent=2
    cp sweeps/general-ml-1m/results.csv benchmarks/results/general-ml-1m/

"CPU s" is that of training, all trials together, validation not counted.
"""

from __future__ import annotations

import csv
from pathlib import Path

from recbole_logq.markup import markdown_table

RESULTS = Path(__file__).parent / "results"
# Columns of a trial's line that are no setting.
_FIXED = {"name", "model", "dataset", "number", "status", "best_score", "best_epoch", "epochs", "train_cpu_seconds"}
_FIXED |= {"seconds", "winner", "error"}


def trials(*titles: str) -> dict[str, list[dict[str, str]]]:
    """The trials of each model of some sweeps, as texts; none where a sweep is not stored."""
    by_name: dict[str, list[dict[str, str]]] = {}
    for title in titles:
        file = RESULTS / title / "results.csv"
        if file.is_file():
            with file.open(encoding="utf-8", newline="") as lines:
                for line in csv.DictReader(lines):
                    by_name.setdefault(line["name"], []).append(line)
    return by_name


def best(of_model: list[dict[str, str]]) -> tuple[dict[str, str], dict[str, str]]:
    """The line of the best by validation, and what was searched of it.

    A trial that the budget cut off counts as it stood then; ``sweep`` itself prefers one that trained to its end.
    """
    line = max((line for line in of_model if line["best_score"]), key=lambda line: float(line["best_score"]))
    return line, {key: value for key, value in line.items() if key not in _FIXED and value}


def table(*titles: str) -> str:
    """A line for each model of some sweeps: what was tried, what it took, what won."""
    by_name = trials(*titles)
    if not by_name:
        return "Not run yet."
    head = ["model", "trials: done + stopped + failed", "CPU s", "validation score of the best", "its settings"]
    rows = []
    for name, lines in by_name.items():
        chosen, searched = best(lines)
        counts = (sum(line["status"] == status for line in lines) for status in ("done", "stopped", "failed"))
        spent = sum(float(line["train_cpu_seconds"] or 0) for line in lines)
        settings = " ".join(f"`{key}={_short(value)}`" for key, value in searched.items())
        score = f"{float(chosen['best_score']):.4f} after {chosen['epochs']} epochs"
        rows.append([name, " + ".join(map(str, counts)), f"{spent:,.0f}", score, settings])
    return markdown_table(head, rows)


def _short(value: str) -> str:
    try:
        return value if value.isdigit() else f"{float(value):.4g}"
    except ValueError:
        return value


if __name__ == "__main__":
    for file in sorted(RESULTS.glob("*/results.csv")):
        print(f"{file.parent.name}\n\n{table(file.parent.name)}\n")
