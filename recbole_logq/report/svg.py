"""Small plots as inline SVG: axes, lines, steps, bands, intervals and bounds, a text for the pointer at every mark.

By hand, since a page with a plotting library in it carries megabytes of script, needs it to show anything at all, and
has colours that do not follow the reader's light or dark setting. What a page needs is a few kinds of marks; these
scale with it, print, and take their colours from its style sheet (classes ``s0`` to ``s7``, dashed or dotted beyond).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from recbole_logq.markup import escape

WIDTH, HEIGHT = 440, 290
ARROW = 15
"""Length of the arrow of a bound."""
_LEFT, _RIGHT, _TOP, _BOTTOM = 58, 14, 10, 44
_CHARACTER, _BESIDE = 6.6, 30
"""Width of a character of a tick, and of what stands on either side of it: the name of the axis, and a gap."""
_COLOURS, _DASHES = 8, ("", " dashed", " dotted")


class Scale:
    """Map from values to places in [0, 1], with a little room on either side.

    Args:
        values: Values that must fit; those that are not finite are ignored.
        log: Whether to take logarithms; only where all values are positive.
        zero: Whether 0 must be on the axis.
        limits: Smallest and largest possible value, beyond which the axis does not go.
        room: Room at each end, as a share of the axis.
    """

    def __init__(
        self,
        values: Iterable[float],
        log: bool = False,
        zero: bool = False,
        limits: tuple[float, float] = (-math.inf, math.inf),
        room: float = 0.04,
    ) -> None:
        finite = [value for value in values if math.isfinite(value)] or [0.0]
        low, high = min(finite), max(finite)
        self.log = log and low > 0
        if self.log:
            factor = (high / low) ** room if high > low else 1.1
            low, high = low / factor, high * factor
        else:
            low, high = (min(low, 0.0), max(high, 0.0)) if zero else (low, high)
            space = (high - low) * room or (abs(high) or 1.0) * 0.04 * (high == low)
            low, high = low if zero and low == 0 else low - space, high + space
        self.low, self.high = (min(max(end, limits[0]), limits[1]) for end in (low, high))
        if self.low == self.high:  # all values at a limit
            self.low, self.high = self.low - 0.04, self.high + 0.04

    def place(self, value: float) -> float:
        """0 at the low end, 1 at the high."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Round values inside, five or so."""
        if self.log and self.high > 10 * self.low:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            factors = (1, 2, 5) if math.log10(self.high / self.low) < 2.5 else (1,)
            places = [factor * 10.0**decade for decade in decades for factor in factors]
        else:
            rough = (self.high - self.low) / 7
            unit = 10.0 ** math.floor(math.log10(rough))
            step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough)
            first = math.ceil(self.low / step)
            places = [(first + i) * step for i in range(12)]
        return [value for value in places if self.low <= value <= self.high]

    def whole_ticks(self) -> list[float]:
        """The same of an axis of whole numbers, such as epochs: no value between two of them."""
        first, last = math.ceil(self.low), math.floor(self.high)
        rough = max((last - first) / 7, 1)
        unit = 10 ** math.floor(math.log10(rough))
        step = unit * next(factor for factor in (1, 2, 5, 10) if factor * unit >= rough)
        return [float(value) for value in range(-(-first // step) * step, last + 1, step)]


def text_of(value: float) -> str:
    """A number for an axis or a pointer."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


class Plot:
    """Marks over a frame with two axes.

    Args:
        label: What the plot shows, for readers who do not see it.
        x, y: Scales.
        x_label, y_label: Names of the axes with their units.
        height: Height of the drawing; its width is :data:`WIDTH`, and the page scales both.
        x_ticks: Ticks to draw instead of the scale's own.
        x_names: Texts of the ticks, instead of their numbers.
    """

    def __init__(
        self,
        label: str,
        x: Scale,
        y: Scale,
        x_label: str,
        y_label: str,
        height: int = HEIGHT,
        x_ticks: Sequence[float] | None = None,
        x_names: Sequence[str] | None = None,
    ) -> None:
        self._label, self._x, self._y, self._height = label, x, y, height
        self._marks: list[str] = []
        # Without a name the y axis counts rows, which carry names of their own.
        self._y_ticks = {value: text_of(value) for value in (y.ticks() if y_label else ())}
        self._left = max(_LEFT, round(_BESIDE + _CHARACTER * max(map(len, self._y_ticks.values()), default=0)))
        ticks = list(x.ticks() if x_ticks is None else x_ticks)
        self._axes(x_label, y_label, ticks, [text_of(tick) for tick in ticks] if x_names is None else x_names)

    def line(self, points: Sequence[tuple[float, float]], series: int, name: str, steps: bool = False) -> None:
        """A line with a dot at every point; ``steps`` holds each value until the next point."""
        at = [self._at(*point) for point in points]
        path = f"M{at[0][0]:.1f},{at[0][1]:.1f}"
        for x, y in at[1:]:
            path += f"H{x:.1f}V{y:.1f}" if steps else f"L{x:.1f},{y:.1f}"
        hints = [_hint(f"{name}: {text_of(value)} at {text_of(place)}") for place, value in points]
        dots = "".join(
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='2.6'>{hint}</circle>" for (x, y), hint in zip(at, hints, strict=True)
        )
        self._marks.append(
            f"<g class='{classes(series)}' data-series='{series}'>"
            f"<path class='line' d='{path}'>{_hint(name)}</path>{dots}</g>"
        )

    def bound(self, x: float, y: float, series: int, name: str) -> None:
        """An upper bound: a value is below ``y``, and where is not known. A bar at the bound, an arrow down from it."""
        across, down = self._at(x, y)
        hint = _hint(f"{name}: below {text_of(y)} at {text_of(x)}")
        path = f"M{across - 5:.1f},{down:.1f}h10M{across:.1f},{down:.1f}v{ARROW - 4}"
        tip = f"M{across - 3.5:.1f},{down + ARROW - 5:.1f}h7l-3.5,5z"
        self._marks.append(
            f"<g class='{classes(series)} bound' data-series='{series}'>{hint}"
            f"<path class='line' d='{path}'/><path class='tip' d='{tip}'/></g>"
        )

    def level(self, y: float, name: str) -> None:
        """A line across for what would be ideal."""
        _, down = self._at(self._x.low, y)
        self._marks.append(f"<path class='level' d='M{self._left},{down:.1f}H{WIDTH - _RIGHT}'>{_hint(name)}</path>")

    def dots(self, points: Sequence[tuple[float, float, str]], series: int) -> None:
        """A dot at every (x, y), with a text for the pointer."""
        marks = ""
        for place, value, hint in points:
            x, y = self._at(place, value)
            marks += f"<circle cx='{x:.1f}' cy='{y:.1f}' r='3.4'>{_hint(hint)}</circle>"
        self._marks.append(f"<g class='{classes(series)}' data-series='{series}'>{marks}</g>")

    def band(self, points: Sequence[tuple[float, float, float]], name: str) -> None:
        """The area between low and high, given as (x, low, high); bands over each other get darker."""
        upper = [self._at(x, high) for x, _, high in points]
        lower = [self._at(x, low) for x, low, _ in reversed(points)]
        corners = " ".join(f"{x:.1f},{y:.1f}" for x, y in upper + lower)
        self._marks.append(f"<polygon class='band' points='{corners}'>{_hint(name)}</polygon>")

    def interval(self, row: float, mean: float, ends: tuple[float, float] | None, series: int, name: str) -> None:
        """A dot with whiskers along x, its name above it."""
        x, y = self._at(mean, row)
        hint = f"{name}: {mean:.4f}" + (f" [{ends[0]:.4f}, {ends[1]:.4f}]" if ends else "")
        whisker = ""
        if ends:
            (low, _), (high, _) = self._at(ends[0], row), self._at(ends[1], row)
            path = f"M{low:.1f},{y:.1f}H{high:.1f}M{low:.1f},{y - 4:.1f}v8M{high:.1f},{y - 4:.1f}v8"
            whisker = f"<path class='line' d='{path}'/>"
        short = name if len(name) <= 48 else name[:47] + "…"
        self._marks.append(
            f"<g class='{classes(series)}' data-series='{series}'>{_hint(hint)}"
            f"<text class='name' x='8' y='{y - 9:.1f}'>{escape(short)}</text>{whisker}"
            f"<circle cx='{x:.1f}' cy='{y:.1f}' r='4'/></g>"
        )

    def svg(self) -> str:
        """The drawing."""
        return (
            f"<svg viewBox='0 0 {WIDTH} {self._height}' role='img' aria-label='{escape(self._label)}'>"
            + "".join(self._marks)
            + "</svg>"
        )

    def _at(self, x: float, y: float) -> tuple[float, float]:
        right = self._left + self._x.place(x) * (WIDTH - self._left - _RIGHT)
        down = self._height - _BOTTOM - self._y.place(y) * (self._height - _BOTTOM - _TOP)
        return right, down

    def _axes(self, x_label: str, y_label: str, x_ticks: Sequence[float], x_names: Sequence[str]) -> None:
        bottom = self._height - _BOTTOM
        for value, name in zip(x_ticks, x_names, strict=True):
            x, _ = self._at(value, self._y.low)
            self._marks.append(f"<path class='grid' d='M{x:.1f},{_TOP}V{bottom}'/>")
            self._marks.append(f"<text x='{x:.1f}' y='{bottom + 16}' text-anchor='middle'>{escape(name)}</text>")
        for value, name in self._y_ticks.items():
            _, y = self._at(self._x.low, value)
            self._marks.append(f"<path class='grid' d='M{self._left},{y:.1f}H{WIDTH - _RIGHT}'/>")
            self._marks.append(f"<text x='{self._left - 6}' y='{y + 4:.1f}' text-anchor='end'>{name}</text>")
        middle = (self._left + WIDTH - _RIGHT) / 2
        self._marks.append(
            f"<text class='axis' x='{middle}' y='{self._height - 8}' text-anchor='middle'>{escape(x_label)}</text>"
            f"<text class='axis' transform='translate(13 {(_TOP + bottom) / 2}) rotate(-90)' "
            f"text-anchor='middle'>{escape(y_label)}</text>"
        )


def classes(series: int) -> str:
    """Classes of the style sheet for the colour and the dashes of a run; 24 are distinguishable."""
    return f"s{series % _COLOURS}{_DASHES[series // _COLOURS % len(_DASHES)]}"


def _hint(text: str) -> str:
    return f"<title>{escape(text)}</title>"
