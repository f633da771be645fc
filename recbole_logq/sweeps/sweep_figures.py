"""The figures of one search."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole_logq.report.figures import figure, grid, legend
from recbole_logq.report.svg import Plot, Scale
from recbole_logq.sweeps.parallel import option_text, parallel
from recbole_logq.sweeps.progress import shown
from recbole_logq.sweeps.space import Parameter
from recbole_logq.sweeps.trial_records import Record

# The colours of the legend: blue, orange, green.
DONE, STOPPED, WINNER = 0, 1, 2


def figures(search: dict[str, Any], space: Sequence[Parameter]) -> str:
    """Legend and figures as HTML; nothing where no trial has a score."""
    scored = [record for record in search["trials"] if record["best_score"] is not None]
    if not scored:
        return ""
    groups = _groups(scored, search["winner"])
    names = {"trained to the end": DONE, "stopped": STOPPED, "winner": WINNER}
    there = {name: series for name, series in names.items() if any(series == one for one, group in groups if group)}
    lines = parallel(space, groups, search["metric"])
    wide = (
        f"<figure><figcaption><b>Settings and score</b> A line is a trial.</figcaption>"
        f"<div class='wide' tabindex='0' role='region' aria-label='Parallel coordinates'>{lines}</div></figure>"
    )
    plots = [_best_so_far(search, scored), *(_effect(search, one, groups) for one in space)]
    return f"<h3>Figures</h3>{legend(there, 'Trials to show')}{wide}{grid([plot for plot in plots if plot])}"


def _groups(scored: Sequence[Record], winner: int | None) -> list[tuple[int, list[Record]]]:
    def kind(record: Record) -> int:
        return WINNER if record["number"] == winner else DONE if record["status"] == "done" else STOPPED

    return [(one, [record for record in scored if kind(record) == one]) for one in (STOPPED, DONE, WINNER)]


def _best_so_far(search: dict[str, Any], scored: Sequence[Record]) -> str:
    start = min(record["started"] for record in search["trials"])
    better = max if search["bigger"] else min
    points: list[tuple[float, float]] = []
    for record in sorted(scored, key=lambda one: one["ended"]):
        score = record["best_score"]
        points.append(((record["ended"] - start) / 60, better(score, points[-1][1]) if points else score))
    x = Scale([minutes for minutes, _ in points], zero=True)
    plot = Plot("Best so far", x, Scale([score for _, score in points]), "minutes", f"validation {search['metric']}")
    plot.line(points, DONE, "best so far", steps=True)
    return figure("Best so far", "Whenever a trial ended; breaks of an interrupted sweep count.", plot)


def _effect(search: dict[str, Any], parameter: Parameter, groups: Sequence[tuple[int, list[Record]]]) -> str:
    name = parameter.name
    scored = [record for _, group in groups for record in group if name in record["point"]]
    if not scored:
        return ""
    y = Scale([record["best_score"] for _, group in groups for record in group])
    label = f"validation {search['metric']}"
    if parameter.kind == "choice":
        texts = [option_text(value) for value in parameter.values]
        ticks = list(range(len(texts)))
        plot = Plot(name, Scale([-0.4, len(texts) - 0.6]), y, name, label, x_ticks=ticks, x_names=texts)
    else:
        log = "log" in parameter.kind
        plot = Plot(name, Scale(parameter.values[:2], log=log), y, name + (", logarithmic" if log else ""), label)
    for series, group in groups:
        dots = [
            (_x(parameter, record["point"][name]), record["best_score"], _hint(record))
            for record in group
            if name in record["point"]
        ]
        if dots:
            plot.dots(dots, series)
    return figure(f"Effect of {name}", _averages(parameter, scored), plot)


def _x(parameter: Parameter, value: Any) -> float:
    return float(parameter.values.index(value)) if parameter.kind == "choice" else float(value)


def _averages(parameter: Parameter, scored: Sequence[Record]) -> str:
    if parameter.kind != "choice":
        return "A dot is a trial."
    said = []
    for value in parameter.values:
        scores = [record["best_score"] for record in scored if record["point"][parameter.name] == value]
        if scores:
            said.append(f"{option_text(value)} {sum(scores) / len(scores):.4f} (trials: {len(scores)})")
    return f"A dot is a trial. Means: {', '.join(said)}."


def _hint(record: Record) -> str:
    return f"trial {record['number']}, {record['status']}: {record['best_score']:.4f}; {shown(record['point'])}"
