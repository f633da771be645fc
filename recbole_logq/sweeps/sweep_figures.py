"""The figures of one search."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from recbole_logq.experiment.run_store import Record
from recbole_logq.report.page import Block, Figure, Figures, Text, setting_text
from recbole_logq.report.parallel import ABSENT, Axis, Line, parallel
from recbole_logq.report.svg import Plot, Scale, text_of
from recbole_logq.sweeps.parameter import Parameter
from recbole_logq.sweeps.progress import point_text

# The colours of the legend: blue, orange, green.
DONE, STOPPED, WINNER = 0, 1, 2
Groups = Sequence[tuple[int, list[Record]]]
"""Series of the legend with their trials; later ones are drawn over earlier ones."""


def figures(search: dict[str, Any], space: Sequence[Parameter]) -> list[Block]:
    """Heading, keys and figures; nothing where no trial has a score."""
    scored = [record for record in search["trials"] if record["best_score"] is not None]
    if not scored:
        return []
    groups = _groups(scored, search["winner"])
    used = {series for series, group in groups if group}
    names = {"trained to the end": DONE, "stopped": STOPPED, "winner": WINNER}
    series = {name: number for name, number in names.items() if number in used}
    effects = [_effect(search, parameter, groups) for parameter in space]
    drawn = [_settings(search, space, groups), _best_so_far(search, scored), *filter(None, effects)]
    return [Text("Figures"), Figures(drawn, "Trials to show", series)]


def _settings(search: dict[str, Any], space: Sequence[Parameter], groups: Groups) -> Figure:
    """Parallel coordinates: an axis for each parameter, one for the score, a line for each trial."""
    metric, records = search["metric"], [record for _, group in groups for record in group]
    scores = Scale([record["best_score"] for record in records], room=0)
    axes, heights = zip(*map(_axis, space), strict=True)
    last = Axis(metric, [(scores.place(value), text_of(value)) for value in _ends(scores)])
    lines = [
        Line(
            series,
            [*(height(record["point"]) for height in heights), scores.place(record["best_score"])],
            _hint(record),
        )
        for series, group in groups
        for record in group
    ]
    names = ", ".join(axis.name for axis in axes)
    label = f"Parallel coordinates: {names} and {metric} of {len(records)} trials"
    return Figure("Settings and score", "A line is a trial.", parallel(label, [*axes, last], lines), wide=True)


def _axis(parameter: Parameter) -> tuple[Axis, Callable[[dict[str, Any]], float]]:
    """An axis, and the height of a point on it."""
    scale = Scale(parameter.limits, log=parameter.log, room=0)
    ticks = [(scale.place(parameter.position(value)), option_text(value)) for value in parameter.options]
    ticks = ticks or [(scale.place(value), text_of(value)) for value in _ends(scale, parameter.whole)]
    if parameter.when:
        ticks.append((ABSENT, "not set"))

    def height(point: dict[str, Any]) -> float:
        return scale.place(parameter.position(point[parameter.name])) if parameter.name in point else ABSENT

    return Axis(parameter.name, ticks), height


def _ends(scale: Scale, whole: bool = False) -> list[float]:
    """Both ends of an axis, and the round values that are far enough from them for a text of their own.

    Args:
        scale: Scale of the axis.
        whole: Whether it has whole numbers alone.
    """
    ticks = scale.whole_ticks() if whole and not scale.log else scale.ticks()
    inside = [value for value in ticks if 0.07 < scale.place(value) < 0.93]
    return [scale.low, *inside, scale.high]


def option_text(value: Any) -> str:
    """An option of a choice, short."""
    text = setting_text(value)
    return text if len(text) <= 14 else text[:13] + "…"


def _groups(scored: Sequence[Record], winner: int | None) -> list[tuple[int, list[Record]]]:
    def kind(record: Record) -> int:
        return WINNER if record["number"] == winner else DONE if record["status"] == "done" else STOPPED

    return [(status, [record for record in scored if kind(record) == status]) for status in (STOPPED, DONE, WINNER)]


def _best_so_far(search: dict[str, Any], scored: Sequence[Record]) -> Figure:
    start = min(record["started"] for record in search["trials"])
    better = max if search["bigger"] else min
    points: list[tuple[float, float]] = []
    for record in sorted(scored, key=lambda trial: trial["ended"]):
        score = record["best_score"]
        points.append(((record["ended"] - start) / 60, better(score, points[-1][1]) if points else score))
    x = Scale([minutes for minutes, _ in points], zero=True, room=0.02)
    plot = Plot("Best so far", x, Scale([score for _, score in points]), "minutes", f"validation {search['metric']}")
    plot.line(points, DONE, "best so far", steps=True)
    return Figure("Best so far", "Whenever a trial ended; breaks of an interrupted sweep count.", plot.svg())


def _effect(search: dict[str, Any], parameter: Parameter, groups: Groups) -> Figure | None:
    name = parameter.name
    scored = [record for _, group in groups for record in group if name in record["point"]]
    if not scored:
        return None
    y = Scale([record["best_score"] for _, group in groups for record in group])
    label = f"validation {search['metric']}"
    x, x_label = Scale(parameter.limits, log=parameter.log), name + (", logarithmic" if parameter.log else "")
    ticks = [parameter.position(value) for value in parameter.options] or None
    if parameter.whole and not x.log:
        ticks = x.whole_ticks()
    texts = [option_text(value) for value in parameter.options] or None
    plot = Plot(name, x, y, x_label, label, x_ticks=ticks, x_names=texts)
    for series, group in groups:
        dots = [
            (parameter.position(record["point"][name]), record["best_score"], _hint(record))
            for record in group
            if name in record["point"]
        ]
        if dots:
            plot.dots(dots, series)
    return Figure(f"Effect of {name}", _averages(parameter, scored), plot.svg())


def _averages(parameter: Parameter, scored: Sequence[Record]) -> str:
    if not parameter.options:
        return "A dot is a trial."
    means = []
    for value in parameter.options:
        scores = [record["best_score"] for record in scored if record["point"][parameter.name] == value]
        if scores:
            means.append(f"{option_text(value)} {sum(scores) / len(scores):.4f} (trials: {len(scores)})")
    return f"A dot is a trial. Means: {', '.join(means)}."


def _hint(record: Record) -> str:
    return f"trial {record['number']}, {record['status']}: {record['best_score']:.4f}; {point_text(record['point'])}"
