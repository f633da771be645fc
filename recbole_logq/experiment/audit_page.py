"""An audit to read: a table in the terminal and a page that opens offline."""

from __future__ import annotations

from html import escape
from typing import Any

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
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console()
    filters = Table(title=Text(f"{report['dataset']}: filters"), title_justify="left")
    for column in report["filters"][0]:
        filters.add_column(column, justify="left" if column == "filter" else "right")
    for step in report["filters"]:
        filters.add_row(*(readable(name, value) for name, value in step.items()))
    console.print(filters)
    for section, title in TITLES.items():
        if section not in report:
            continue
        table = Table(title=Text(f"{report['dataset']}: {title}"), title_justify="left", show_header=False)
        table.add_column()
        table.add_column(justify="right")
        for name, value in report[section].items():
            table.add_row(name, readable(name, value))
        console.print(table)
        if section in _NOTES:
            console.print(_NOTES[section], style="dim")


def page(report: dict[str, Any]) -> str:
    """The audit as one HTML page without any outside resource."""
    name = escape(str(report["dataset"]))
    steps = report["filters"]
    head = "".join(f"<th>{escape(column)}</th>" for column in steps[0])
    rows = "".join(_row([readable(key, value) for key, value in step.items()]) for step in steps)
    body = [f"<h2>Filters</h2><div class='wide'><table><tr>{head}</tr>{rows}</table></div>"]
    for section, title in TITLES.items():
        if section not in report:
            continue
        lines = "".join(_line(key, value) for key, value in report[section].items())
        note = f"<p>{escape(_NOTES[section])}</p>" if section in _NOTES else ""
        body.append(f"<h2>{escape(title)}</h2>{note}<table class='pairs'>{lines}</table>")
    return (
        "<!doctype html>\n<html lang='en'><head><meta charset='utf-8'>"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{name}: audit</title><style>{_STYLE}</style></head>\n"
        f"<body><h1>{name}</h1>\n" + "\n".join(body) + "\n</body></html>\n"
    )


def _row(cells: list[str]) -> str:
    return "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>"


def _line(name: str, value: Any) -> str:
    share = isinstance(value, float) and ("share" in name or _is_share(name))
    bar = f"<span class='bar' style='width:{100 * min(max(value, 0), 1):.1f}%'></span>" if share else ""
    return f"<tr><td>{escape(name)}</td><td>{escape(readable(name, value))}{bar}</td></tr>"


_STYLE = """
:root { color-scheme: light dark; --line: #8886; --bar: #3b82f6; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin: 2rem 0 .5rem; font-size: 1.15rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: right; vertical-align: top; }
th:first-child, td:first-child { text-align: left; }
.pairs td:first-child { width: 65%; }
.bar { display: block; height: 4px; margin-left: auto; border-radius: 2px; background: var(--bar); }
.wide { overflow-x: auto; }
"""
