"""Parallel coordinates as inline SVG: an axis for each parameter, one for the score, a line for each trial."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from recbole_logq.markup import escape
from recbole_logq.report.svg import Scale, classes, text_of
from recbole_logq.sweeps.progress import shown
from recbole_logq.sweeps.space import Parameter
from recbole_logq.sweeps.trial_records import Record

_STEP, _LEFT, _TOP, _HEIGHT, _BOTTOM = 150, 76, 40, 250, 36
_ABSENT = "not set"


class Axis:
    """Where a parameter's values lie between 0 (bottom) and 1, and the texts beside them.

    Args:
        parameter: Of the space.
    """

    def __init__(self, parameter: Parameter) -> None:
        self.name = parameter.name
        self.absent = bool(parameter.when)
        self.place: Callable[[Any], float]
        if parameter.kind == "choice":
            texts = [option_text(value) for value in parameter.values]
            count = len(texts)
            places = {text: (i + 0.5) / count for i, text in enumerate(texts)}
            self.place = lambda value: places[option_text(value)]
            self.ticks = [(places[text], text) for text in texts]
        else:
            scale = Scale(parameter.values[:2], log="log" in parameter.kind)
            self.place = scale.place
            self.ticks = [(scale.place(value), text_of(value)) for value in scale.ticks()]

    def of(self, point: dict[str, Any]) -> float:
        """Below the axis where the point has no such value."""
        return self.place(point[self.name]) if self.name in point else -0.08


def option_text(value: Any) -> str:
    """An option of a choice, short."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 14 else text[:13] + "…"


def parallel(space: Sequence[Parameter], groups: Sequence[tuple[int, list[Record]]], metric: str) -> str:
    """The drawing.

    Args:
        space: Its axes.
        groups: Series of the legend with their trials; later ones are drawn over earlier ones.
        metric: Name of the last axis.
    """
    records = [record for _, group in groups for record in group if record["best_score"] is not None]
    axes = [Axis(parameter) for parameter in space]
    scores = Scale([record["best_score"] for record in records])
    width = _LEFT + _STEP * len(axes) + 60
    marks = [
        _line(
            series, record, [axis.of(record["point"]) for axis in axes] + [scores.place(record["best_score"])], metric
        )
        for series, group in groups
        for record in group
        if record["best_score"] is not None
    ]
    # Axes over the lines, so that their labels stay readable.
    for i, axis in enumerate(axes):
        ticks = [*axis.ticks, *([(-0.08, _ABSENT)] if axis.absent else [])]
        marks.append(_axis(_LEFT + _STEP * i, axis.name, ticks))
    ticks = [(scores.place(value), text_of(value)) for value in scores.ticks()]
    marks.append(_axis(_LEFT + _STEP * len(axes), metric, ticks))
    height = _TOP + _HEIGHT + _BOTTOM
    label = f"Parallel coordinates: {', '.join(axis.name for axis in axes)} and {metric} of {len(records)} trials"
    return (
        f"<svg viewBox='0 0 {width} {height}' style='min-width:{width * 3 // 5}px' role='img' "
        f"aria-label='{escape(label)}'>{''.join(marks)}</svg>"
    )


def _y(place: float) -> float:
    return _TOP + (1 - place) * _HEIGHT


def _axis(x: float, name: str, ticks: Sequence[tuple[float, str]]) -> str:
    short = name if len(name) <= 22 else "…" + name[-21:]
    texts = "".join(
        f"<path class='grid' d='M{x - 4:.1f},{_y(place):.1f}h8'/>"
        f"<text x='{x - 8:.1f}' y='{_y(place) + 4:.1f}' text-anchor='end'>{escape(text)}</text>"
        for place, text in ticks
    )
    return (
        f"<path class='grid' d='M{x:.1f},{_y(1):.1f}V{_y(0):.1f}'/>"
        f"<text class='axis' x='{x:.1f}' y='{_TOP - 16}' text-anchor='middle'>{escape(short)}</text>{texts}"
    )


def _line(series: int, record: Record, heights: Sequence[float], metric: str) -> str:
    path = "L".join(f"{_LEFT + _STEP * i:.1f},{_y(height):.1f}" for i, height in enumerate(heights))
    hint = (
        f"trial {record['number']}, {record['status']}: {metric} {record['best_score']:.4f}; {shown(record['point'])}"
    )
    return (
        f"<g class='{classes(series)}' data-series='{series}'><path class='line' d='M{path}'>"
        f"<title>{escape(hint)}</title></path></g>"
    )
