"""The tables of a report as cells, which its page, its Markdown and its CSV share."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from recbole_logq.report.cells import Cell, number
from recbole_logq.report.intervals import Interval
from recbole_logq.report.summary import COSTS, Entry, Summary, measured


def results(summary: Summary) -> tuple[list[str], list[list[Cell]]]:
    """Head and lines: an entry each, the best first, the metric that decides in front, then all that was measured."""
    first = [summary.primary] if summary.primary else []
    columns = [*first, *(metric for metric in summary.metrics if metric not in first), *(COSTS if first else ())]
    return _lines(summary, columns)


def results_in_parts(summary: Summary) -> list[tuple[str, list[str], list[list[Cell]]]]:
    """The same in tables that are narrow enough for a screen, each with a heading.

    The first has the metric that decides, the verdict, and what else was measured at its cut-off; a table for each
    other cut-off follows, one of what the lists hold, and one of what the runs took.
    """
    if summary.primary is None:
        return [("Results", *_lines(summary, []))]
    results, lists, cutoffs = [summary.primary], [], dict[str, list[str]]()
    for metric in summary.metrics:
        name, _, cutoff = metric.rpartition("@")
        if name.lower().replace("_", "") in _OF_LISTS:
            lists.append(metric)
        elif cutoff == summary.primary.rpartition("@")[2] or not name:
            results += [metric] if metric != summary.primary else []
        else:
            cutoffs.setdefault(f"At {cutoff}", []).append(metric)
    parts = [("Results", *_lines(summary, results[: _WIDTH - 2]))]  # beside verdicts and seeds
    further = {
        "Further results": results[_WIDTH - 2 :],
        **cutoffs,
        "What the lists hold": lists,
        "What it took": list(COSTS),
    }
    for heading, columns in further.items():
        for start in range(0, len(columns), _WIDTH):
            parts.append((heading, *_lines(summary, columns[start : start + _WIDTH], whole=False)))
    return parts


_OF_LISTS = {"coverage", "itemcoverage", "gini", "giniindex", "averagepopularity", "novelty", "shannonentropy"}
_OF_LISTS |= {"tailpercentage"}
_WIDTH = 8
"""Columns of numbers with intervals that fit on a screen beside a name."""


def _lines(summary: Summary, columns: Sequence[str], whole: bool = True) -> tuple[list[str], list[list[Cell]]]:
    """Head and lines with some columns.

    Args:
        summary: Summary of a data set.
        columns: Names of the values.
        whole: Whether verdicts and seeds stand behind the first of them.
    """
    verdicts = _verdicts(summary) if whole else {}
    lines = []
    for entry in summary.entries:
        cells = [_cell(entry.values.get(column)) for column in columns]
        between = [*([Cell(verdicts.get(entry.name, ""))] if verdicts else []), *([_seeds(entry)] if whole else [])]
        lines.append([Cell(entry.name), *cells[:1], *between, *cells[1:]])
    between_names = [*(["verdict"] if verdicts else []), *(["seeds"] if whole else [])]
    return ["run", *columns[:1], *between_names, *columns[1:]], lines


def _verdicts(summary: Summary) -> dict[str, str]:
    rows = [row for row in summary.comparisons if row["metric"] == summary.primary]
    return {row["reference"]: "reference" for row in rows} | {row["name"]: str(row["verdict"]) for row in rows}


def _cell(value: Interval | None) -> Cell:
    if value is None or value.mean is None:
        return Cell("-")
    note = "" if value.low is None else f"[{number(value.low)}, {number(value.high)}]"
    return Cell(number(value.mean), note, value.mean)


def _seeds(entry: Entry) -> Cell:
    seeds = ", ".join(str(run["seed"]) for run in entry.runs) or "none"
    failed = ", ".join(str(run["seed"]) for run in entry.failed)
    return Cell(seeds, f"failed: {failed}" if failed else "", len(entry.runs))


def verdicts(summary: Summary) -> tuple[list[str], list[list[Cell]]]:
    """Head and lines: a comparison each."""
    head = ["run", "against", "metric", "difference", "users", "p (users)", "p (seeds)", "verdict"]
    lines = []
    for row in summary.comparisons:
        ends = [row["low"], row["high"]]
        note = "" if None in ends else f"[{number(ends[0], True)}, {number(ends[1], True)}]"
        chances = [Cell(_chance(row[key]), key=row[key]) for key in ("p_users", "p_seeds")]
        difference = Cell(number(row["difference"], True), note, row["difference"])
        words = [Cell(str(row[key])) for key in ("name", "reference", "metric")]
        lines.append([*words, difference, _users(row), *chances, Cell(str(row["verdict"]))])
    return head, lines


def _users(comparison: dict[str, Any]) -> Cell:
    users, left_out = comparison.get("users"), comparison.get("users_left_out")
    note = f"{left_out:,} left out: not tested under every seed" if left_out else ""
    return Cell("-" if users is None else f"{users:,}", note, users)


def _chance(p: float | None) -> str:
    return "< 0.0001" if p is not None and p < 0.0001 else number(p)


def runs(summary: Summary) -> tuple[list[str], list[list[Cell]]]:
    """Head and lines: a run that ended well each."""
    head = ["run", "model", "seed", summary.primary or "score", "best epoch", "epochs", *COSTS]
    lines = []
    for entry in summary.entries:
        for run in entry.runs:
            values, history = measured(run), run["result"].get("history") or []
            counts = [run["seed"], run["result"].get("best_epoch"), len(history) or None]
            seed, best, epochs = (Cell("-" if count is None else str(count), key=count) for count in counts)
            score, *costs = (
                Cell(number(values.get(key)), key=values.get(key)) for key in (summary.primary or "", *COSTS)
            )
            lines.append([Cell(run["name"]), Cell(run["model"]), seed, score, best, epochs, *costs])
    return head, lines


def failures(summary: Summary) -> tuple[list[str], list[list[Cell]]]:
    """Head and lines: a run that failed each, with its reason."""
    lines = [
        [Cell(run["name"]), Cell(str(run["seed"]), key=run["seed"]), Cell(run["error"] or "no reason was recorded")]
        for run in summary.failed
    ]
    return ["run", "seed", "reason"], lines


def versions(summaries: Sequence[Summary]) -> dict[str, str]:
    """Version of each package; where runs differ, all that were used and by how many runs."""
    packages: dict[str, dict[str, int]] = {}
    for run in (run for summary in summaries for run in summary.runs):
        for package, version in run["result"]["versions"].items():
            counts = packages.setdefault(package, {})
            counts[version] = counts.get(version, 0) + 1
    return {
        package: next(iter(counts))
        if len(counts) == 1
        else ", ".join(f"{release} (runs: {n})" for release, n in sorted(counts.items()))
        for package, counts in packages.items()
    }


def csv_text(summaries: Sequence[Summary]) -> str:
    """A line for each entry and data set; a metric is followed by the ends of its interval."""
    columns = list(dict.fromkeys([metric for summary in summaries for metric in summary.metrics] + [*COSTS]))
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    ends = [name for column in columns for name in (column, f"{column} low", f"{column} high")]
    writer.writerow(["dataset", "name", "model", "seeds", "failed seeds", "verdict", *ends])
    for summary in summaries:
        verdicts = _verdicts(summary)
        for entry in summary.entries:
            seeds = [" ".join(str(run["seed"]) for run in seed_runs) for seed_runs in (entry.runs, entry.failed)]
            values = [entry.values.get(column) or Interval(None, None, None, 0) for column in columns]
            numbers: list[Any] = [part for value in values for part in value[:3]]
            writer.writerow([summary.dataset, entry.name, entry.model, *seeds, verdicts.get(entry.name, ""), *numbers])
    return buffer.getvalue()
