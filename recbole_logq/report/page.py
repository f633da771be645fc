"""A report as one HTML page without any outside resource."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.resources import files
from math import isfinite
from typing import Any

from recbole_logq.markup import escape
from recbole_logq.report import tables
from recbole_logq.report.figures import figures
from recbole_logq.report.html import frame, row
from recbole_logq.report.summary import Summary
from recbole_logq.report.tables import Cell


def page(summaries: Sequence[Summary], title: str) -> str:
    """The page; labels, errors and commands are text there, whatever they hold."""
    body = [_section(summary) for summary in summaries]
    body.append(f"<h2>Versions</h2>{pairs(tables.versions(summaries))}")
    return whole(title, "\n".join(body))


def whole(title: str, body: str) -> str:
    """A page with the reports' style and script around ``body``, which is HTML."""
    folder = files("recbole_logq.report")
    style, script = (folder.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    return frame(title, title, f"{body}\n<script>{script}</script>", style, [script])


def _section(summary: Summary) -> str:
    parts = [f"<section><h2>{escape(summary.dataset)}</h2>"]
    if summary.failed:
        parts.append(
            f"<p class='failed'>{len(summary.failed)} of {len(summary.runs) + len(summary.failed)} runs failed; the "
            "reasons stand below.</p>"
        )
    if summary.runs:
        head, lines = tables.results(summary)
        note = "Means over seeds with 95 % t intervals; one seed has none. A click on a heading sorts."
        parts.append(f"<p>{note}</p>{table('Results', head, lines, by=summary.primary)}")
    if summary.comparisons:
        parts.append(f"<h3>Against the reference</h3>{table('Verdicts', *tables.verdicts(summary))}")
    parts.append(figures(summary))
    if summary.failed:
        parts.append(f"<h3>Failed runs</h3>{table('Failed runs', *tables.failures(summary))}")
    if summary.runs:
        parts.append(f"<h3>Runs</h3>{table('Runs', *tables.runs(summary))}")
        parts.append(f"<h3>Protocol</h3>{pairs(summary.protocol)}")
        prints = summary.fingerprints()
        lines = [[Cell(_plain(value)) for value in one.values()] for one in prints]
        parts.append(f"<h3>Fingerprints of the split</h3>{table('Fingerprints', list(prints[0]), lines)}")
    commands = "\n".join(run["command"] for run in [*summary.runs, *summary.failed])
    parts.append(f"<h3>Commands</h3><pre class='wide' tabindex='0'>{escape(commands)}</pre></section>")
    return "\n".join(parts)


def table(label: str, head: Sequence[str], lines: Sequence[Sequence[Cell]], by: str | None = None) -> str:
    """A table in a box of its own to scroll; the script makes its headings into buttons that sort."""
    titles = "".join(
        f"<th scope='col'{' aria-sort=descending' if name == by else ''}>{escape(name)}</th>" for name in head
    )
    body = "".join(f"<tr>{''.join(_td(cell) for cell in line)}</tr>" for line in lines)
    return (
        f"<div class='wide' tabindex='0' role='region' aria-label='{escape(label)}'><table class='sortable'>"
        f"<thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table></div>"
    )


def _td(cell: Cell) -> str:
    key = "" if cell.key is None or not isfinite(cell.key) else f" data-key='{float(cell.key)}'"
    note = f" <small>{escape(cell.note)}</small>" if cell.note else ""
    return f"<td{key}>{escape(cell.text)}{note}</td>"


def pairs(values: Mapping[str, Any]) -> str:
    """A table of names and values."""
    return f"<table class='pairs'>{''.join(row([key, _plain(value)]) for key, value in values.items())}</table>"


def _plain(value: Any) -> str:
    return ", ".join(str(one) for one in value) if isinstance(value, list) else str(value)
