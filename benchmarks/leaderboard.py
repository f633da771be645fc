"""Leaderboards: every stored comparison that has one test set and one protocol, in one table with what it took.

    uv run benchmarks/leaderboard.py

Reads what `compare` has stored under benchmarks/results/ (see comparisons.py), runs nothing. Speed and memory are those
of the training run itself; a table says on what device each model was trained, and different devices do not compare.
"""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import comparisons
import recipes_ml100k

from recbole_logq.markup import markdown_table
from recbole_logq.report.comparison_tables import results
from recbole_logq.report.summary import summarise

ROOT = Path(__file__).parent.parent
QUALITY = ("ndcg@10", "recall@10", "recall@100", "coverage@10")
COSTS = ("positives/s", "train s", "peak MB")
SHORT = ("ndcg@10", "recall@100", "train s", "peak MB")
PARTS = "ml-1m-time"
"""A comparison of the parts of one model, which has a table of its own."""

Record = dict[str, Any]


@cache
def _boards() -> dict[str, list[Record]]:
    """Records that ended well, by what makes them comparable; a name that two comparisons have gets the title's too."""
    boards: dict[str, list[Record]] = {}
    for file in sorted((ROOT / "config" / "experiment").glob("*.yaml")):
        folder = ROOT / "benchmarks" / "results" / file.stem
        if file.stem == PARTS or not (folder / "runs").is_dir():
            continue
        for record in comparisons.finished_runs(file.stem)[1]:
            result = record["result"]
            protocol = {"request_time": "unknown", **result["protocol"]}
            key = json.dumps([record["dataset"], result["fingerprint"]["test"], protocol], sort_keys=True)
            board = boards.setdefault(key, [])
            names = {entry["name"] for entry in board if entry["from"] != file.stem}
            name, model = record["name"], record["model"]
            name = name if model in name else f"{model}, {name}"
            board.append({**record, "name": f"{name} ({file.stem})" if name in names else name, "from": file.stem})
    return boards


def _device(records: list[Record], name: str) -> str:
    devices = (record["result"]["device"]["name"] for record in records if record["name"] == name)
    return ", ".join(dict.fromkeys("CPU" if device == "cpu" else device for device in devices))


def table(dataset: str, columns: tuple[str, ...] = (*QUALITY, *COSTS), split: str | None = None) -> str:
    """Boards of a data set, the best model first: means over seeds, 95 % intervals of quality.

    Args:
        dataset: Name of the data set.
        columns: Metrics and costs, where they were measured.
        split: Kind of split, such as ``"LS"``; all by default.
    """
    parts = []
    for key, records in _boards().items():
        name, test, protocol = json.loads(key)
        if name != dataset or split not in (None, *protocol["split"]):
            continue
        (summary,) = summarise(records, [])
        head, lines = results(summary)
        places = [head.index(column) for column in columns if column in head]
        rows = []
        for line in lines:
            cells = [line[p].text if head[p] in COSTS else f"{line[p].text} {line[p].note}".strip() for p in places]
            rows.append([f"`{line[0].text}`", *cells, _device(records, line[0].text)])
        text = markdown_table(["model", *(head[place] for place in places), "trained on"], rows)
        split = ", ".join(f"{kind}: {value}" for kind, value in protocol["split"].items())
        history = "filtered" if protocol["filter_history"] else "not filtered"
        facts = f"split {split}, {protocol['order']} order of time, history {history}"
        facts += f", time of the request {protocol['request_time']}"
        origin = ", ".join(
            f"`config/experiment/{title}.yaml`" for title in dict.fromkeys(record["from"] for record in records)
        )
        parts.append(f"{text}\n\nTest set `{test}`; {facts}; {protocol['items']:,} items. Runs of {origin}.")
    return "\n\n".join(parts) or "No run is stored yet."


def recipes() -> str:
    """Recipes under an equal budget of 60 CPU-seconds on ml-100k, with the speed that they had."""
    head = ["model", "ndcg@10", "recall@100", "coverage@10", "epochs in 60 CPU s"]
    rows = []
    for model in recipes_ml100k.MODELS:
        runs = recipes_ml100k.EXPERIMENT.stored(model)
        if not runs:
            continue
        means = [
            sum(run["test_result"][metric] for run in runs) / len(runs)
            for metric in ("ndcg@10", "recall@100", "itemcoverage@10")
        ]
        # A line of the history is an epoch that was validated, every eval_step-th.
        epochs = sum(len(run["history"]) for run in runs) * recipes_ml100k.EXPERIMENT.shared["eval_step"] / len(runs)
        rows.append((means[0], [f"`{model}`", *(f"{mean:.4f}" for mean in means), f"{epochs:.0f}"]))
    return markdown_table(head, [row for _, row in sorted(rows, reverse=True)])


if __name__ == "__main__":
    print(table("ml-1m"), recipes(), sep="\n\n")
