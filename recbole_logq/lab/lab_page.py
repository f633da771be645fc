"""What the laboratory found about estimators, as a page with figures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from recbole_logq.lab.lab_report import (
    LIES_HEAD,
    READING_STRATA,
    bias_of,
    cells,
    has_inside,
    head_of,
    heading,
    lies_lines,
    reading,
    seen_table,
)
from recbole_logq.report.cells import Cell
from recbole_logq.report.page import Figure, Figures, Section, Table, Text, page
from recbole_logq.report.svg import Plot, Scale

Value = Callable[[dict[str, Any]], tuple[float | None, bool]]
"""A measured value, None where there is none, and whether it is an upper bound."""


def lab_page(report: dict[str, Any]) -> str:
    """The table and its figures as HTML: bias and head mass against the number of negatives."""
    estimators, inside = report["estimators"], has_inside(report)
    lines = [_line(entry, inside) for entry in estimators]
    names = dict.fromkeys(entry["estimator"] for entry in estimators)
    series = {name: number for number, name in enumerate(names)}
    drawn = [_figure("Relative bias of the gradient", estimators, series, bias_of)]
    if inside:
        within = [
            {**entry["inside"], "estimator": entry["estimator"], "n": entry["n"]}
            for entry in estimators
            if entry["inside"]
        ]
        drawn.append(_figure("Relative bias, rows in the batch", within, series, bias_of))
    drawn.append(_figure("Head mass", estimators, series, lambda entry: (entry["head_mass"], False), ideal=1.0))
    sections = [
        Section("Figures", [Figures([figure for figure in drawn if figure], "Estimators to show", series)]),
        Section("Table", [Text(text="A click on a heading sorts."), Table("Estimators", head_of(report), lines)]),
    ]
    if report.get("strata"):
        sections.append(_strata(report))
    return page("Estimators of the full softmax", [Section(heading(report), [Text(text=reading(report))]), *sections])


def _strata(report: dict[str, Any]) -> Section:
    head, lines = seen_table(report)
    return Section(
        "Where the gradient lies",
        [
            Table(
                "Parts of the catalogue", LIES_HEAD, [[_number(text) for text in line] for line in lies_lines(report)]
            ),
            Text(text=READING_STRATA),
            Table("What each estimator sees", head, [[_number(text) for text in line] for line in lines]),
        ],
    )


def _cells(lines: Sequence[Sequence[str]]) -> list[list[Cell]]:
    return [[_number(text) for text in line] for line in lines]


def _number(text: str) -> Cell:
    """A cell that sorts by its number, where it is one."""
    try:
        return Cell(text, key=float(text.replace(",", "")))
    except ValueError:
        return Cell(text)


def _line(entry: dict[str, Any], inside: bool) -> list[Cell]:
    fit, within = entry["q_fit"], entry.get("inside")
    ratios = [fit[0][0], fit[3][0]] if fit else [None, None]
    in_batch = [bias_of(within)[0], within["spread"]] if within else [None, None]
    keys = [None, entry["n"], bias_of(entry)[0], entry["spread"]]
    keys += [*(in_batch if inside else []), entry["head_mass"], *ratios]
    return [Cell(text, key=key) for text, key in zip(cells(entry, inside), keys, strict=True)]


def _figure(
    title: str, estimators: Sequence[dict[str, Any]], series: dict[str, int], of: Value, ideal: float | None = None
) -> Figure | None:
    """A line for each estimator over the number of negatives; what a logarithm has no place for is named."""
    values = [(entry["estimator"], entry["n"], *of(entry)) for entry in estimators]
    points = [(name, n, value, bound) for name, n, value, bound in values if value is not None and value > 0]
    if not points:
        return None
    # Room for the arrow of a bound below it.
    ends = [value * (0.6 if is_bound else 1) for _, _, value, is_bound in points] + ([ideal] if ideal else [])
    counts = sorted({n for _, n, _, _ in points})
    x = Scale(counts, log=True, room=0.02)
    label = "relative bias" if of is bias_of else title.lower()
    plot = Plot(title, x, Scale(ends, log=True), "negatives, logarithmic", f"{label}, logarithmic", x_ticks=counts)
    if ideal:
        plot.level(ideal, f"ideal: {ideal:g}")
    for name, number in series.items():
        measured = [(n, value) for estimator, n, value, is_bound in points if estimator == name and not is_bound]
        if measured:
            plot.line(measured, number, name)
        for estimator, n, value, is_bound in points:
            if estimator == name and is_bound:
                plot.bound(n, value, number, name)
    notes = [f"Dots: {ideal:g} would be ideal."] if ideal else []
    if any(is_bound for *_, is_bound in points):
        notes.append("An arrow is a bound: the bias is below it, and not distinguishable from 0.")
    lost = [f"{name} at {n:,} ({'none' if value is None else f'{value:.2g}'})" for name, n, value, _ in values
            if value is None or value <= 0]  # fmt: skip
    if lost:
        notes.append(f"Not drawn, since they are not above 0: {', '.join(lost)}.")
    return Figure(title, " ".join(notes), plot.svg())
