"""Parallel coordinates as inline SVG: axes side by side, and a line across them for each of several points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from recbole_logq.markup import escape
from recbole_logq.report.svg import classes

_STEP, _LEFT, _RIGHT, _TOP, _HEIGHT, _BOTTOM = 150, 96, 64, 40, 250, 36
ABSENT = -0.09
"""Height of a point that has no value on an axis: below it."""


class Axis(NamedTuple):
    """An axis.

    Attributes:
        name: Name above it.
        ticks: Heights between 0 (bottom) and 1, and the texts beside them.
    """

    name: str
    ticks: Sequence[tuple[float, str]]


class Line(NamedTuple):
    """A line across all axes.

    Attributes:
        series: Number of its series, for its colour and for the legend.
        heights: Height on each axis.
        hint: Text for the pointer.
    """

    series: int
    heights: Sequence[float]
    hint: str


def parallel(label: str, axes: Sequence[Axis], lines: Sequence[Line]) -> str:
    """The drawing.

    Args:
        label: What it shows, for readers who do not see it.
        axes: Axes from left to right.
        lines: Later ones are drawn over earlier ones.
    """
    width, height = _LEFT + _STEP * (len(axes) - 1) + _RIGHT, _TOP + _HEIGHT + _BOTTOM
    # Axes over the lines, so that their labels stay readable.
    marks = [_line(line) for line in lines] + [_axis(i, axis, len(axes)) for i, axis in enumerate(axes)]
    return (
        f"<svg viewBox='0 0 {width} {height}' style='min-width:{width * 4 // 5}px' role='img' "
        f"aria-label='{escape(label)}'>{''.join(marks)}</svg>"
    )


def _y(height: float) -> float:
    return _TOP + (1 - height) * _HEIGHT


def _axis(place: int, axis: Axis, count: int) -> str:
    x = _LEFT + _STEP * place
    short = axis.name if len(axis.name) <= 20 else "…" + axis.name[-19:]
    end = place == count - 1
    at, anchor = (x + 8, "start") if end else (x - 8, "end")  # beyond the last axis there are no lines to read over
    texts = "".join(
        f"<path class='tick' d='M{x - 4:.1f},{_y(height):.1f}h8'/>"
        f"<text x='{at:.1f}' y='{_y(height) + 4:.1f}' text-anchor='{anchor}'>{escape(text)}</text>"
        for height, text in axis.ticks
    )
    return (
        f"<path class='tick' d='M{x:.1f},{_y(1):.1f}V{_y(0):.1f}'/><text class='axis' "
        f"x='{x + _RIGHT - 4 if end else x:.1f}' y='{_TOP - 16}' text-anchor='{'end' if end else 'middle'}'>"
        f"{escape(short)}</text>{texts}"
    )


def _line(line: Line) -> str:
    path = "L".join(f"{_LEFT + _STEP * i:.1f},{_y(height):.1f}" for i, height in enumerate(line.heights))
    return (
        f"<g class='{classes(line.series)}' data-series='{line.series}'><path class='line' d='M{path}'>"
        f"<title>{escape(line.hint)}</title></path></g>"
    )
