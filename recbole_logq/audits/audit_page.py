"""An audit to read: a table in the terminal and a page that opens offline."""

from __future__ import annotations

from typing import Any

from recbole_logq.markup import escape
from recbole_logq.report.html import frame, row
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
    if name in {"density"} or "share" in name or _is_share(name):
        return f"{100 * value:.2f} %" if value == 0 or value >= 0.0001 else f"{100 * value:.5f} %"
    return f"{value:,.4g}"


def _is_share(name: str) -> bool:
    return name.startswith(("test items ", "validation items ", "training interactions "))


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


def page(report: dict[str, Any]) -> str:
    """The audit as one HTML page without any outside resource."""
    steps = report["filters"]
    rows = "".join(row([readable(key, value) for key, value in step.items()]) for step in steps)
    body = [f"<h2>Filters</h2><div class='wide'><table>{row(list(steps[0]), 'th')}{rows}</table></div>"]
    for section, title in TITLES.items():
        if section not in report:
            continue
        lines = "".join(_line(key, value) for key, value in report[section].items())
        note = f"<p>{escape(_NOTES[section])}</p>" if section in _NOTES else ""
        body.append(f"<h2>{escape(title)}</h2>{note}<table class='pairs'>{lines}</table>")
    return frame(f"{report['dataset']}: audit", str(report["dataset"]), "\n".join(body))


def _line(name: str, value: Any) -> str:
    share = isinstance(value, float) and ("share" in name or _is_share(name))
    bar = f"<span class='bar' style='width:{100 * min(max(value, 0), 1):.1f}%'></span>" if share else ""
    return f"<tr><td>{escape(name)}</td><td>{escape(readable(name, value))}{bar}</td></tr>"
