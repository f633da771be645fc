"""The report of a sweep as one HTML page without any outside resource, in the look of a comparison's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_logq.markup import escape
from recbole_logq.report.page import pairs, table, whole
from recbole_logq.report.tables import Cell, number
from recbole_logq.sweeps.progress import shown
from recbole_logq.sweeps.space import Parameter
from recbole_logq.sweeps.sweep_figures import figures
from recbole_logq.sweeps.trial_records import Record


def page(content: dict[str, Any], spaces: Mapping[str, Sequence[Parameter]]) -> str:
    """The page; whatever names and errors hold is text there.

    Args:
        content: As :func:`recbole_logq.sweeps.sweep.sweep` returns it.
        spaces: The parameters of each search by name.
    """
    searches = content["searches"]
    body = [_overview(searches)] if len(searches) > 1 else []
    body += [_section(search, spaces[search["name"]]) for search in searches]
    body.append(f"<h2>Search</h2>{pairs({key: value for key, value in content['how'].items() if value is not None})}")
    return whole(content["title"], "\n".join(body))


def _overview(searches: Sequence[dict[str, Any]]) -> str:
    metrics = list(dict.fromkeys(metric for one in searches for metric in one["test_result"] or {}))
    lines = []
    for one in searches:
        best, test = _winner(one), one["test_result"] or {}
        seconds = sum(record["train_cpu_seconds"] or 0.0 for record in one["trials"])
        cells = [_number(best["best_score"] if best else None), _number(len(one["trials"]), whole_number=True)]
        lines.append([Cell(one["name"]), *cells, _number(seconds), *(_number(test.get(metric)) for metric in metrics)])
    head = ["model", "validation", "trials", "train CPU s", *(f"test {metric}" for metric in metrics)]
    note = "The best trial of each model by validation, and the one test of it."
    return f"<h2>Winners</h2><p>{note}</p>{table('Winners', head, lines)}"


def _section(search: dict[str, Any], space: Sequence[Parameter]) -> str:
    trials = search["trials"]
    parts = [f"<section><h2>{escape(search['name'])} on {escape(search['dataset'])}</h2>"]
    counts = {kind: sum(one["status"] == kind for one in trials) for kind in ("done", "stopped", "failed")}
    said = f"{len(trials)} trials: {counts['done']} trained to their end, {counts['stopped']} stopped early, "
    parts.append(f"<p>{said}{counts['failed']} failed. A click on a heading sorts.</p>")
    if best := _winner(search):
        values = {"trial": str(best["number"]), f"validation {search['metric']}": f"{best['best_score']:.4f}"}
        values |= {f"test {key}": f"{value:.4f}" for key, value in search["test_result"].items()}
        values |= {key: str(value) for key, value in best["point"].items()}
        parts.append(f"<h3>Winner</h3>{pairs(values)}")
    parts.append(figures(search, space))
    parts.append(f"<h3>Trials</h3>{table('Trials', *_trials(search, space), by=search['metric'])}")
    failed = [one for one in trials if one["status"] == "failed"]
    if failed:
        lines = [
            [Cell(str(one["number"]), key=one["number"]), Cell(shown(one["point"])), Cell(str(one["error"]))]
            for one in failed
        ]
        parts.append(f"<h3>Failed trials</h3>{table('Failed trials', ['trial', 'settings', 'reason'], lines)}")
    return "\n".join([*parts, "</section>"])


def _trials(search: dict[str, Any], space: Sequence[Parameter]) -> tuple[list[str], list[list[Cell]]]:
    """Head and lines: a trial each, the best first, those without a score last."""
    sign = -1 if search["bigger"] else 1
    trials = sorted(
        search["trials"], key=lambda one: (one["best_score"] is None, sign * (one["best_score"] or 0), one["number"])
    )
    names = [parameter.name for parameter in space]
    lines = []
    for one in trials:
        cells = [Cell(str(one["number"]), key=one["number"]), _number(one["best_score"]), Cell(one["status"])]
        cells += [_number(one["epochs"], whole_number=True), _number(one["train_cpu_seconds"])]
        lines.append([*cells, *(_value(one["point"].get(name)) for name in names)])
    return ["trial", search["metric"], "status", "epochs", "train CPU s", *names], lines


def _winner(search: dict[str, Any]) -> Record | None:
    return next((one for one in search["trials"] if one["number"] == search["winner"]), None)


def _number(value: float | None, whole_number: bool = False) -> Cell:
    return Cell(str(value) if whole_number else number(value), key=value)


def _value(value: Any) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(f"{value:.4g}" if isinstance(value, float) else str(value), key=value)
    return Cell("-" if value is None else str(value))
