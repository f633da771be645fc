"""Tables of comparisons whose runs are stored under benchmarks/results/<title>/runs/.

    uv run run_recbole_logq.py compare --config_files=config/experiment/ml-1m-256.yaml \\
        --folder=benchmarks/results/ml-1m-256

runs what is missing there; this only reads. A comparison that is under way has the lines of the runs that have ended.
"train s" is wall-clock, with other runs beside it; "train CPU s" is not.
"""

from __future__ import annotations

from pathlib import Path
from statistics import mean
from typing import Any

from recbole_logq.comparisons.comparison import differences
from recbole_logq.comparisons.runs import Store
from recbole_logq.experiment.plan import Plan, make_plan
from recbole_logq.markup import markdown_table
from recbole_logq.report.comparison_tables import results
from recbole_logq.report.summary import summarise

ROOT = Path(__file__).parent.parent
_RECALLS = ("recall@10", "recall@20", "recall@100")
MEASURED = ("run", "seeds", "ndcg@10", "verdict", *_RECALLS, "coverage@10", "popularity@10")
"""What a table has, where it was measured, beside a column of time."""


def finished_runs(title: str) -> tuple[Plan, list[dict[str, Any]]]:
    """The plan of ``config/experiment/<title>.yaml``, and the records of its runs that ended well."""
    plan = make_plan([str(ROOT / "config" / "experiment" / f"{title}.yaml")], {})
    store = Store(Path(__file__).parent / "results" / title)
    records = [record for run in plan.runs if (record := store.read(run)) is not None]
    return plan, [record for record in records if record["status"] == "done"]


def table(title: str, time: str = "train s") -> str:
    """The runs of ``config/experiment/<title>.yaml`` that are stored, the best first; ``time`` is one of COSTS."""
    plan, finished = finished_runs(title)
    if not finished:
        return "No run is stored yet."
    (summary,) = summarise(finished, differences(plan, finished))
    head, lines = results(summary)
    places = [head.index(column) for column in (*MEASURED, time) if column in head]
    rows = [[f"{line[place].text} {line[place].note}".strip() for place in places] for line in lines]
    prints = ", ".join(dict.fromkeys(f"`{fingerprint['test']}`" for fingerprint in summary.fingerprints()))
    text = markdown_table([head[place] for place in places], rows)
    devices = ", ".join(dict.fromkeys(record["result"]["device"]["name"] for record in finished))
    return f"{text}\n\n{len(finished)} of {len(plan.runs)} runs, on {devices}. Test sets: {prints}."


def curve(title: str) -> str:
    """Validation after each of the epochs that have one, means over seeds, of the runs that trained by epochs."""
    _, finished = finished_runs(title)
    curves: dict[str, list[dict[int, float]]] = {}
    for record in finished:
        history = record["result"]["history"]
        values = {line["epoch"] + 1: line["valid_score"] for line in history if "valid_score" in line}
        if len(values) > 1:
            curves.setdefault(record["name"], []).append(values)
    if not curves:
        return "No run is stored yet."
    epochs = sorted({epoch for runs in curves.values() for run in runs for epoch in run})
    rows = []
    for name, runs in curves.items():
        cells = ["-" if any(e not in run for run in runs) else f"{mean(run[e] for run in runs):.4f}" for e in epochs]
        rows.append([name, *cells])
    return markdown_table(["run", *(f"epoch {epoch}" for epoch in epochs)], rows)


if __name__ == "__main__":
    for file in sorted((ROOT / "config" / "experiment").glob("*.yaml")):
        if (Path(__file__).parent / "results" / file.stem).is_dir():
            print(f"{file.stem}\n\n{table(file.stem)}\n")
