"""The report of a sweep as one page, in the look of a comparison's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_logq.experiment.run_store import Record
from recbole_logq.report.cells import Cell, number
from recbole_logq.report.page import Block, Pairs, Section, Table, Text, page, setting_text
from recbole_logq.sweeps.parameter import Parameter
from recbole_logq.sweeps.progress import point_text
from recbole_logq.sweeps.sweep_figures import figures


def sweep_page(content: dict[str, Any], spaces: Mapping[str, Sequence[Parameter]]) -> str:
    """The page as HTML; whatever names and errors hold is text there.

    Args:
        content: Results as :func:`recbole_logq.sweeps.sweep.sweep` returns them.
        spaces: The parameters of each search by name.
    """
    searches = content["searches"]
    sections = [_overview(searches)] if len(searches) > 1 else []
    sections += [_section(search, spaces[search["name"]]) for search in searches]
    settings = {key: value for key, value in content["how"].items() if value is not None}
    return page(content["title"], [*sections, Section("Search", [Pairs(settings)])])


def _overview(searches: Sequence[dict[str, Any]]) -> Section:
    metrics = list(dict.fromkeys(metric for search in searches for metric in search["test_result"] or {}))
    lines = []
    for search in searches:
        best, test = _winner(search), search["test_result"] or {}
        seconds = sum(record["train_cpu_seconds"] or 0.0 for record in search["trials"])
        cells = [_number(best["best_score"] if best else None), _number(len(search["trials"]), whole_number=True)]
        lines.append([Cell(search["name"]), *cells, _number(seconds), *(_number(test.get(name)) for name in metrics)])
    head = ["model", "validation", "trials", "train CPU s", *(f"test {metric}" for metric in metrics)]
    note = Text(text="The best trial of each model by validation, and the one test of it.")
    return Section("Winners", [note, Table("Winners", head, lines)])


def _section(search: dict[str, Any], space: Sequence[Parameter]) -> Section:
    trials = search["trials"]
    counts = {kind: sum(trial["status"] == kind for trial in trials) for kind in ("done", "stopped", "failed")}
    message = (
        f"{len(trials)} trials: {counts['done']} trained to their end, {counts['stopped']} stopped early, "
        f"{counts['failed']} failed. A click on a heading sorts."
    )
    blocks: list[Block] = [Text(text=message)]
    if best := _winner(search):
        values = {"trial": str(best["number"]), f"validation {search['metric']}": f"{best['best_score']:.4f}"}
        values |= {f"test {key}": f"{value:.4f}" for key, value in search["test_result"].items()}
        values |= {key: setting_text(value) for key, value in best["point"].items()}
        blocks += [Text("Winner"), Pairs(values)]
    blocks += figures(search, space)
    blocks += [Text("Trials"), Table("Trials", *_trials(search, space), by=search["metric"])]
    failed = [trial for trial in trials if trial["status"] == "failed"]
    if failed:
        lines = [
            [
                Cell(str(trial["number"]), key=trial["number"]),
                Cell(point_text(trial["point"])),
                Cell(str(trial["error"])),
            ]
            for trial in failed
        ]
        blocks += [Text("Failed trials"), Table("Failed trials", ["trial", "settings", "reason"], lines)]
    return Section(f"{search['name']} on {search['dataset']}", blocks)


def _trials(search: dict[str, Any], space: Sequence[Parameter]) -> tuple[list[str], list[list[Cell]]]:
    """Head and lines: a trial each, the best first, those without a score last."""
    sign = -1 if search["bigger"] else 1
    trials = sorted(
        search["trials"],
        key=lambda record: (record["best_score"] is None, sign * (record["best_score"] or 0), record["number"]),
    )
    names = [parameter.name for parameter in space]
    lines = []
    for record in trials:
        cells = [
            Cell(str(record["number"]), key=record["number"]),
            _number(record["best_score"]),
            Cell(record["status"]),
        ]
        cells += [_number(record["epochs"], whole_number=True), _number(record["train_cpu_seconds"])]
        lines.append([*cells, *(_value(record["point"].get(name)) for name in names)])
    return ["trial", search["metric"], "status", "epochs", "train CPU s", *names], lines


def _winner(search: dict[str, Any]) -> Record | None:
    return next((trial for trial in search["trials"] if trial["number"] == search["winner"]), None)


def _number(value: float | None, whole_number: bool = False) -> Cell:
    return Cell(str(value) if whole_number else number(value), key=value)


def _value(value: Any) -> Cell:
    if isinstance(value, int | float) and not isinstance(value, bool):
        return Cell(f"{value:.4g}" if isinstance(value, float) else str(value), key=value)
    return Cell("-" if value is None else setting_text(value))
