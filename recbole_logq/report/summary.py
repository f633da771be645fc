"""What a report says: runs of one label on one data set in one line, after a check that they can be compared."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from recbole_logq.data.dataset.protocol import require_common
from recbole_logq.errors import RequestError
from recbole_logq.report.intervals import Interval, over_seeds

Record = dict[str, Any]
COSTS = ("train s", "train CPU s", "positives/s", "peak MB")
"""Columns of what a run took: seconds of training without validation, by wall and CPU clock, speed, peak memory."""
_PRIMARY = "ndcg@10"
_SHARES = {"recall", "mrr", "ndcg", "hit", "precision", "map", "gauc", "auc", "itemcoverage", "coverage", "giniindex"}
_SHARES |= {"gini", "tailpercentage"}


@dataclass(frozen=True)
class Entry:
    """A line of the table: the seeds of one label."""

    name: str
    model: str
    runs: list[Record]
    failed: list[Record]
    values: dict[str, Interval]


@dataclass(frozen=True)
class Summary:
    """One data set, its entries with the best first."""

    dataset: str
    metrics: list[str]
    primary: str | None
    entries: list[Entry]
    comparisons: list[dict[str, Any]]

    @property
    def runs(self) -> list[Record]:
        """Runs that ended well."""
        return [run for entry in self.entries for run in entry.runs]

    @property
    def failed(self) -> list[Record]:
        """Runs that did not end well."""
        return [run for entry in self.entries for run in entry.failed]

    @property
    def protocol(self) -> dict[str, Any]:
        """Protocol that all runs share; empty where none ended well."""
        return self.runs[0]["result"]["protocol"] if self.runs else {}

    def fingerprints(self) -> list[dict[str, Any]]:
        """The different splits: ``train``, ``valid``, ``test``, and the ``seeds`` that had them."""
        splits: dict[tuple[tuple[str, str], ...], set[int]] = {}
        for run in self.runs:
            splits.setdefault(tuple(run["result"]["fingerprint"].items()), set()).add(run["seed"])
        return [{**dict(split), "seeds": sorted(seeds)} for split, seeds in splits.items()]


def summarise(records: Sequence[Record], comparisons: Sequence[dict[str, Any]]) -> list[Summary]:
    """One summary a data set, in the order in which the records name them.

    Raises:
        RequestError: The list of records is empty, a run is there twice, one label means two models, the runs of a data
            set were not measured the same way, or a comparison does not say which data set it is of.
    """
    if not records:
        raise RequestError("a report needs the record of one run or more")
    _refuse_repeats(records)
    datasets = list(dict.fromkeys(record["dataset"] for record in records))
    if len(datasets) > 1 and any("dataset" not in row for row in comparisons):
        raise RequestError(f"comparisons over {len(datasets)} data sets need a dataset each")
    return [
        _summarise(
            dataset,
            [record for record in records if record["dataset"] == dataset],
            [row for row in comparisons if row.get("dataset", dataset) == dataset],
        )
        for dataset in datasets
    ]


def _refuse_repeats(records: Sequence[Record]) -> None:
    # A seed counted twice makes an interval too narrow.
    seen: dict[tuple[str, str], dict[int, str]] = {}
    for record in records:
        seeds = seen.setdefault((record["dataset"], record["name"]), {})
        label = f"{record['name']} on {record['dataset']}"
        if record["seed"] in seeds:
            raise RequestError(f"{label} has seed {record['seed']} twice: keep one of the two")
        seeds[record["seed"]] = record["model"]
        if len(set(seeds.values())) > 1:
            raise RequestError(
                f"{label} stands for {' and '.join(dict.fromkeys(seeds.values()))}: give each a name of its own"
            )


def _summarise(dataset: str, records: list[Record], comparisons: list[dict[str, Any]]) -> Summary:
    finished = [record for record in records if record["status"] == "done"]
    if finished:
        require_common([record["result"] for record in finished])
    numbers = {id(record): measured(record) for record in finished}
    columns = list(dict.fromkeys(key for values in numbers.values() for key in values))
    metrics = [key for key in columns if key not in COSTS]
    primary = comparisons[0]["metric"] if comparisons else _PRIMARY
    if primary not in metrics:
        primary = metrics[0] if metrics else None
    entries = []
    for name in dict.fromkeys(record["name"] for record in records):
        own = sorted((record for record in records if record["name"] == name), key=lambda record: record["seed"])
        runs = [record for record in own if record["status"] == "done"]
        values = {key: over_seeds((numbers[id(run)].get(key) for run in runs), limits(key)) for key in columns}
        failed = [record for record in own if record["status"] != "done"]
        entries.append(Entry(name, own[0]["model"], runs, failed, values))

    def place(entry: Entry) -> tuple[float, str]:
        mean = entry.values[primary].mean if primary else None
        return (float("inf") if mean is None else -mean), entry.name

    return Summary(dataset, metrics, primary, sorted(entries, key=place), comparisons)


def limits(metric: str) -> tuple[float, float]:
    """Smallest and largest possible value of a metric: 0 and 1 of shares, and no limits where none are known."""
    return (0.0, 1.0) if metric.split("@")[0].lower() in _SHARES else (-math.inf, math.inf)


def measured(record: Record) -> dict[str, float]:
    """Every number of a run that ended well and has a column: metrics, then :data:`COSTS`."""
    result = record["result"]
    measures = {key: value for key, value in record["measures"].items() if not isinstance(value, list)}
    history = result.get("history") or []
    # As in the figures; models with a loop of their own have no history, and their phase holds validation too.
    seconds = history[-1]["train_seconds"] if history else result["seconds"]["train"]
    costs = (seconds, result["train_cpu_seconds"], result["positives_per_second"], result["peak_memory_mb"])
    return {**result["test_result"], **measures, **dict(zip(COSTS, costs, strict=True))}
