"""An audit to read: a table in the terminal and a page that opens offline."""

from __future__ import annotations

from typing import Any

from recbole_logq.report.cells import Cell
from recbole_logq.report.page import Pairs, Section, Table, Text, page
from recbole_logq.terminal import cell, console

TITLES = {
    "size": "Size",
    "popularity": "Popularity",
    "repeats": "Repeats",
    "time": "Time",
    "order": "Order: which items leave-one-out takes",
    "leakage": "Leakage under leave-one-out",
}
_NOTES = {
    "order": "RecBole 1.2.1 cuts timestamps to float32 before it sorts. Here order is exact, ties in file order.",
    "leakage": "Leave-one-out trains on what other users did after a test item happened; a temporal split does not.",
}


def readable(name: str, value: Any) -> str:
    """A value as text: shares in percent, counts with separators."""
    if value is None:
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if not isinstance(value, float):
        return str(value)
    if name == "density" or _is_share(name):
        return f"{100 * value:.2f} %" if value == 0 or value >= 0.0001 else f"{100 * value:.5f} %"
    return f"{value:,.4g}"


def _is_share(name: str) -> bool:
    return "share" in name or name.startswith(("test items ", "validation items ", "training interactions "))


def print_audit(report: dict[str, Any]) -> None:
    """Print the tables."""
    from rich.table import Table

    screen = console()
    filters = Table(title=cell(f"{report['dataset']}: filters"), title_justify="left")
    for column in report["filters"][0]:
        filters.add_column(cell(column), justify="left" if column == "filter" else "right")
    for step in report["filters"]:
        filters.add_row(*(cell(readable(name, value)) for name, value in step.items()))
    screen.print(filters)
    for section, title in TITLES.items():
        if section not in report:
            continue
        table = Table(title=cell(f"{report['dataset']}: {title}"), title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name, value in report[section].items():
            table.add_row(cell(name), cell(readable(name, value)))
        screen.print(table)
        if section in _NOTES:
            screen.print(_NOTES[section], style="dim")


def audit_page(report: dict[str, Any]) -> str:
    """The audit as one page of HTML."""
    steps = report["filters"]
    lines = [[_cell(name, value) for name, value in step.items()] for step in steps]
    sections = [Section("Filters", [Table("Filters", list(steps[0]), lines)])]
    for name, title in TITLES.items():
        if name in report:
            note = [Text(text=_NOTES[name])] if name in _NOTES else []
            pairs = Pairs({key: _cell(key, value) for key, value in report[name].items()})
            sections.append(Section(title, [*note, pairs]))
    return page(f"{report['dataset']}: audit", sections, heading=str(report["dataset"]))


def _cell(name: str, value: Any) -> Cell:
    key = float(value) if isinstance(value, int | float) else None
    share = min(max(value, 0.0), 1.0) if isinstance(value, float) and _is_share(name) else None
    return Cell(readable(name, value), key=key, share=share)
