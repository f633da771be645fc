"""Reports on a terminal: a table of what decides; the rest is in the files."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_logq.report import comparison_tables
from recbole_logq.report.cells import Cell, number
from recbole_logq.report.summary import Summary
from recbole_logq.terminal import cell, console, say


def print_comparison(summaries: Sequence[Summary]) -> None:
    """Print a table for each data set: the metric that decides, the differences, and what failed."""
    for summary in summaries:
        decisive = [row for row in summary.comparisons if row["metric"] == summary.primary]
        against = {row["name"]: row for row in decisive}
        reference = next((row["reference"] for row in decisive), None)
        heading = "means over seeds" + (f", tested against {reference}" if reference else "")
        say(f"\n{summary.dataset}: {heading}; in brackets 95 % intervals")
        _, lines = comparison_tables.results(summary)
        rows = []
        for entry, line in zip(summary.entries, lines, strict=True):
            row = against.get(entry.name)
            verdict = "reference" if entry.name == reference else "-" if row is None else str(row["verdict"])
            seeds = f"{len(entry.runs)}" + (f", {len(entry.failed)} failed" if entry.failed else "")
            rows.append([entry.name, _text(line[1]), _difference(row), verdict, seeds])
        _print(["run", summary.primary or "score", "difference", "verdict", "seeds"], rows)
        for run in summary.failed:
            say(f"FAILED: {run['name']}, seed {run['seed']}: {run['error'] or 'no reason was recorded'}")


def print_results(results: Sequence[dict[str, Any]]) -> None:
    """Print test results side by side, with protocol and test fingerprint below.

    Args:
        results: Results of ``run``, measured the same way.
    """
    metrics = [name for name in results[0]["test_result"] if all(name in result["test_result"] for result in results)]
    rows = [[name, *(f"{result['test_result'][name]:.4f}" for result in results)] for name in metrics]
    _print(["metric", *(f"{result['model']}, seed {result['seed']}" for result in results)], rows)
    prints = ", ".join(dict.fromkeys(result["fingerprint"]["test"] for result in results))
    protocol = ", ".join(f"{key}: {value}" for key, value in results[0]["protocol"].items())
    say(f"{results[0]['dataset']}; {protocol}; test set {prints}")


def print_winners(searches: Sequence[dict[str, Any]]) -> None:
    """Print the winner of each search of a sweep.

    Args:
        searches: Searches in the result of ``sweep``.
    """
    rows = []
    for search in searches:
        if search["winner"] is None:
            rows.append([search["name"], "no trial ended well", "-", "-"])
            continue
        best = next(trial for trial in search["trials"] if trial["number"] == search["winner"])
        test = "\n".join(f"{metric} {value:.4f}" for metric, value in search["test_result"].items())
        score = f"{search['metric']} {best['best_score']:.4f}"
        rows.append([search["name"], f"trial {search['winner']} wins", score, test])
    _print(["search", "winner", "validation", "test"], rows)
    for search in searches:
        if search["winner"] is not None:
            say(f"{search['name']}: test ({search['tested']}); settings: {search['best']}")


def _text(content: Cell) -> str:
    return f"{content.text} {content.note}".strip()


def _difference(row: dict[str, Any] | None) -> str:
    if row is None:
        return "-"
    ends = "" if None in (row["low"], row["high"]) else f" [{_signed(row['low'])}, {_signed(row['high'])}]"
    return f"{_signed(row['difference'])}{ends}"


def _signed(value: float) -> str:
    return number(value, signed=True)


def _print(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    from rich.table import Table

    table = Table()
    for i, name in enumerate(head):
        table.add_column(cell(name), justify="right" if i else "left", overflow="fold")
    for row in rows:
        table.add_row(*map(cell, row))
    console().print(table)
