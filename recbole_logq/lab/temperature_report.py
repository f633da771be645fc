"""A model's softmax against the temperature, in the terminal, in Markdown and as a page."""

from __future__ import annotations

from typing import Any

from recbole_logq.markup import markdown_table
from recbole_logq.report.cells import Cell
from recbole_logq.report.page import Figure, Figures, Section, Table, Text, page
from recbole_logq.report.svg import Plot, Scale
from recbole_logq.terminal import cell, console, say

HEAD = ("T", "entropy H", "dH/dT", "exp(H)", "mean P+", "loss")
PARTS = ("alignment", "uniformity")
READING = (
    "H: entropy of the softmax of s / T over the catalogue, in nats. dH/dT: its slope, Var(s) / T^3. exp(H): items "
    "that the softmax is spread over. P+: probability of the positive, and loss = -log P+; on average over the rows."
)
READING_PARTS = (
    " alignment |x - y+|^2 / 2T, uniformity log mean exp(-|x - y|^2 / 2T); with log(items) they sum to the loss."
)
READING_DOT = " Scores are inner products: vectors have lengths too, and the loss has no parts of directions alone."


def heading(report: dict[str, Any]) -> str:
    """What was examined, in a line."""
    return f"{report['subject']}: {_facts_of(report)}"


def _facts_of(report: dict[str, Any]) -> str:
    facts = "".join(f", {name} {value}" for name, value in report["facts"].items())
    return (
        f"{report['rows']:,} training rows, {report['items']:,} items, {report['similarity']}, "
        f"T = {report['temperature']:.3g}{facts}; at any T alignment {report['alignment']:.3f}, uniformity "
        f"{report['uniformity_queries']:.3f} of queries and {report['uniformity_items']:.3f} of items"
    )


def head_of(report: dict[str, Any]) -> tuple[str, ...]:
    """Headings of the table."""
    return (*HEAD, *PARTS) if _has_parts(report) else HEAD


def lines_of(report: dict[str, Any]) -> list[list[str]]:
    """Lines of the table: every temperature, the model's own and that of least loss among them, each of them named."""
    marks = {report["temperature"]: " (own)"}
    rows = {row["temperature"]: row for row in [*report["at"], report["own"]]}
    if report["fit"] is not None:
        rows[report["fit"]["temperature"]] = report["fit"]
        marks[report["fit"]["temperature"]] = marks.get(report["fit"]["temperature"], "") + " (least loss)"
    lines = []
    for temperature, row in sorted(rows.items()):
        numbers = [f"{row['entropy']:.3f}", f"{row['slope']:.3g}", f"{row['effective']:,.1f}"]
        numbers += [f"{row['p_positive']:.4f}", f"{row['loss']:.3f}"]
        parts = [f"{row[part]:.3f}" for part in PARTS] if _has_parts(report) else []
        lines.append([f"{temperature:.3g}{marks.get(temperature, '')}", *numbers, *parts])
    return lines


def print_temperatures(report: dict[str, Any]) -> None:
    """Print the table and the advice."""
    from recbole_logq.lab.lab_report import WIDTH, table

    screen = console(WIDTH)
    screen.print(cell(heading(report)))
    screen.print(table(head_of(report), lines_of(report)))
    screen.print(_reading(report), style="dim", highlight=False)
    say(report["advice"])


def markdown(report: dict[str, Any]) -> str:
    """The same for documentation."""
    return f"{heading(report)}.\n\n{markdown_table(head_of(report), lines_of(report))}\n\n{report['advice']}"


def temperature_page(report: dict[str, Any]) -> str:
    """The same as HTML, with entropy, probability of the positive and loss drawn against the temperature."""
    drawn = [
        _figure(report, "Entropy of the softmax", "entropy", "nats"),
        _figure(report, "Probability of the positive", "p_positive", "mean P+"),
        _figure(report, "Loss", "loss", "nats"),
    ]
    lines = [[_cell(text) for text in line] for line in lines_of(report)]
    facts = _facts_of(report)
    sections = [
        Section(report["subject"], [Text(text=text) for text in (report["advice"], f"{facts}.", _reading(report))]),
        Section("Figures", [Figures(drawn)]),
        Section("Table", [Text(text="A click on a heading sorts."), Table("Temperatures", head_of(report), lines)]),
    ]
    return page("The softmax against the temperature", sections)


def _has_parts(report: dict[str, Any]) -> bool:
    return report["own"]["alignment"] is not None


def _reading(report: dict[str, Any]) -> str:
    return READING + (READING_PARTS if _has_parts(report) else READING_DOT)


def _figure(report: dict[str, Any], title: str, key: str, unit: str) -> Figure:
    rows = [*report["at"], report["own"], *([report["fit"]] if report["fit"] else [])]
    points = sorted({(row["temperature"], row[key]) for row in rows})
    x, y = Scale([t for t, _ in points], log=True, room=0.02), Scale([value for _, value in points])
    plot = Plot(title, x, y, "temperature, logarithmic", unit)
    plot.line(points, 0, title)
    own = (report["temperature"], report["own"][key], f"the model's own: {report['own'][key]:.4g}")
    plot.dots([own], 1)
    return Figure(title, "The larger dot: the model's own temperature.", plot.svg())


def _cell(text: str) -> Cell:
    return Cell(text, key=float(text.partition(" ")[0].replace(",", "")))
