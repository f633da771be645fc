"""The figures of one data set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from recbole_logq.markup import escape
from recbole_logq.report.curves import Points, by_decile, quality_over, weights_by_epoch
from recbole_logq.report.summary import Record, Summary
from recbole_logq.report.svg import Plot, Scale, classes

_ROW = 36
_LOG_FROM = 30
"""Models whose times differ by more than this are shown on a logarithmic axis."""
_WEIGHTS = (
    "w = 1 - P(positive | user), the weight that corrected logQ gives a row. From light to dark: 10 to 90 %, "
    "20 to 80 %, 30 to 70 %, 40 to 60 %; the line is the mean. Epochs that every seed reached, mean over seeds."
)


def figures(summary: Summary) -> str:
    """Legend and figures as HTML; a figure that has nothing to show is left out."""
    series = {entry.name: position for position, entry in enumerate(summary.entries)}
    drawn = [*_intervals(summary, series), *_quality(summary, series), *_deciles(summary, series)]
    if not drawn:
        return ""
    weights = _weights(summary)
    below = f"<h3>Sample weights in training</h3><p>{_WEIGHTS}</p>{grid(weights)}" if weights else ""
    return f"<h3>Figures</h3>{legend(series, 'Runs to show')}{grid(drawn)}{below}"


def legend(series: dict[str, int], label: str) -> str:
    """Keys that show and hide their series in the figures of a section."""
    keys = "".join(
        f"<button type='button' class='key {classes(i)}' data-key='{i}' aria-pressed='true'>{escape(name)}</button>"
        for name, i in series.items()
    )
    return f"<div class='legend' role='group' aria-label='{escape(label)}'>{keys}</div>"


def grid(drawn: list[str]) -> str:
    """Figures beside and below each other, as many as fit."""
    return f"<div class='figures'>{''.join(drawn)}</div>"


def figure(title: str, note: str, plot: Plot) -> str:
    """A plot under its title and a note."""
    caption = f"<figcaption><b>{escape(title)}</b> {escape(note)}</figcaption>"
    return f"<figure>{caption}{plot.svg()}</figure>"


def _intervals(summary: Summary, series: dict[str, int]) -> list[str]:
    wanted = [summary.primary, *(metric for metric in summary.metrics if metric.startswith("coverage"))]
    found = []
    for metric in dict.fromkeys(name for name in wanted if name):
        rows = [(entry.name, entry.values[metric]) for entry in summary.entries]
        there = [(name, value) for name, value in rows if value.mean is not None]
        if not there:
            continue
        ends = [end for _, value in there for end in value[:3] if end is not None]
        height = _ROW * len(there) + 72
        plot = Plot(metric, Scale(ends), Scale([-0.6, len(there) - 0.25]), metric, "", height)
        for row, (name, value) in enumerate(reversed(there)):
            whisker = None if value.low is None or value.high is None else (value.low, value.high)
            plot.interval(row, value.mean or 0.0, whisker, series[name], name)
        found.append(figure(metric, "On the test set, with 95 % intervals over seeds.", plot))
    return found


def _quality(summary: Summary, series: dict[str, int]) -> list[str]:
    names = {str(run["result"].get("parameters", {}).get("valid_metric", "score")) for run in summary.runs}
    if len(names) > 1:
        said = ", ".join(sorted(names))
        return [
            f"<p>No curve of quality against time: the runs were validated by different metrics, {escape(said)}.</p>"
        ]
    found = []
    for clock, title, unit in (
        ("train_seconds", "Quality against wall-clock time", "seconds of training"),
        ("train_cpu_seconds", "Quality against CPU time", "CPU seconds of training"),
    ):
        curves = _curves(summary, partial(quality_over, clock=clock))
        if not curves:
            continue
        times = [time for points in curves.values() for time, _ in points]
        log = min(times) > 0 and max(times) / min(times) > _LOG_FROM
        x = Scale(times, log=log, zero=not log)
        y = Scale([score for points in curves.values() for _, score in points])
        plot = Plot(title, x, y, unit + (", logarithmic" if log else ""), f"validation {min(names)}")
        for name, points in curves.items():
            plot.line(points, series[name], name, steps=True)
        found.append(figure(title, "Best validation so far, mean over seeds; validation takes no time here.", plot))
    return found


def _deciles(summary: Summary, series: dict[str, int]) -> list[str]:
    curves = _curves(summary, by_decile)
    if not curves:
        return []
    values = [value for points in curves.values() for _, value in points]
    title, ticks = "Recall@10 by popularity of the target", range(1, 11)
    x = Scale(ticks)
    plot = Plot(
        title, x, Scale(values, zero=True), "popularity decile, 10 the most popular", "recall@10", x_ticks=ticks
    )
    for name, points in curves.items():
        plot.line(points, series[name], name)
    return [figure(title, "Mean over seeds; deciles without a target have no point.", plot)]


def _curves(summary: Summary, points_of: Callable[[list[Record]], Points]) -> dict[str, Points]:
    found = {entry.name: points_of(entry.runs) for entry in summary.entries}
    return {name: points for name, points in found.items() if points}


def _weights(summary: Summary) -> list[str]:
    found = []
    for position, entry in enumerate(summary.entries):
        epochs = weights_by_epoch(entry.runs)
        if not epochs:
            continue
        label = f"{entry.name}: sample weight by epoch"
        plot = Plot(label, Scale([one["epoch"] for one in epochs]), Scale([0.0, 1.0], zero=True), "epoch", "w")
        for low in (10, 20, 30, 40):
            corners = [(one["epoch"], one[f"d{low}"], one[f"d{100 - low}"]) for one in epochs]
            plot.band(corners, f"{low} to {100 - low} %")
        plot.line([(one["epoch"], one["mean"]) for one in epochs], position, "mean")
        found.append(figure(entry.name, "", plot))
    return found
