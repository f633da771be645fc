"""The figures of one data set."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from recbole_logq.report.curves import Points, by_decile, quality_over, weights_by_epoch
from recbole_logq.report.page import Block, Figure, Figures, Text
from recbole_logq.report.summary import Record, Summary, limits
from recbole_logq.report.svg import Plot, Scale
from recbole_logq.report.weight_figure import WEIGHTS, weight_plot

_ROW = 36
_LOG_FROM = 30
"""Models whose times differ by more than this are shown on a logarithmic axis."""
_OF_SEEDS = f"{WEIGHTS} Epochs that every seed reached, mean over seeds."


def figures(summary: Summary) -> list[Block]:
    """Headings, keys and figures; a figure that has nothing to show is left out."""
    series = {entry.name: position for position, entry in enumerate(summary.entries)}
    curves, problem = _quality(summary, series)
    blocks: list[Block] = []
    if drawn := [*_intervals(summary, series), *curves, *_deciles(summary, series)]:
        blocks += [Text("Figures", problem), Figures(drawn, "Runs to show", series)]
    if weights := _weights(summary):
        blocks += [Text("Sample weights in training", _OF_SEEDS), Figures(weights)]
    return blocks


def _intervals(summary: Summary, series: dict[str, int]) -> list[Figure]:
    names = [summary.primary, *(metric for metric in summary.metrics if metric.startswith("coverage"))]
    drawn = []
    for metric in dict.fromkeys(name for name in names if name):
        rows = [(entry.name, entry.values[metric]) for entry in summary.entries]
        rows = [(name, value) for name, value in rows if value.mean is not None]
        if not rows:
            continue
        ends = [end for _, value in rows for end in value[:3] if end is not None]
        x, y = Scale(ends, limits=limits(metric)), Scale([-0.6, len(rows) - 0.25])
        plot = Plot(metric, x, y, metric, "", _ROW * len(rows) + 72)
        for row, (name, value) in enumerate(reversed(rows)):
            whisker = None if value.low is None or value.high is None else (value.low, value.high)
            plot.interval(row, value.mean or 0.0, whisker, series[name], name)
        drawn.append(Figure(metric, "On the test set, with 95 % intervals over seeds.", plot.svg()))
    return drawn


def _quality(summary: Summary, series: dict[str, int]) -> tuple[list[Figure], str]:
    """Curves by both clocks, or the reason why there are none."""
    names = {str(run["result"].get("parameters", {}).get("valid_metric", "score")) for run in summary.runs}
    if len(names) > 1:
        metrics = ", ".join(sorted(names))
        return [], f"No curve of quality against time: the runs were validated by different metrics, {metrics}."
    drawn = []
    for clock, title, unit in (
        ("train_seconds", "Quality against wall-clock time", "seconds of training"),
        ("train_cpu_seconds", "Quality against CPU time", "CPU seconds of training"),
    ):
        curves = _curves(summary, partial(quality_over, clock=clock))
        if not curves:
            continue
        times = [time for points in curves.values() for time, _ in points]
        log = min(times) > 0 and max(times) / min(times) > _LOG_FROM
        x = Scale(times, log=log, zero=not log, room=0.02)
        y = Scale([score for points in curves.values() for _, score in points], limits=limits(min(names)))
        plot = Plot(title, x, y, unit + (", logarithmic" if log else ""), f"validation {min(names)}")
        for name, points in curves.items():
            plot.line(points, series[name], name, steps=True)
        note = "Best validation so far, mean over seeds; validation takes no time here."
        drawn.append(Figure(title, note, plot.svg()))
    return drawn, ""


def _deciles(summary: Summary, series: dict[str, int]) -> list[Figure]:
    curves = _curves(summary, by_decile)
    if not curves:
        return []
    values = [value for points in curves.values() for _, value in points]
    title, ticks = "Recall@10 by popularity of the target", range(1, 11)
    x, y = Scale(ticks, room=0.02), Scale(values, zero=True, limits=limits("recall@10"))
    plot = Plot(title, x, y, "popularity decile, 10 the most popular", "recall@10", x_ticks=ticks)
    for name, points in curves.items():
        plot.line(points, series[name], name)
    return [Figure(title, "Mean over seeds; deciles without a target have no point.", plot.svg())]


def _curves(summary: Summary, points_of: Callable[[list[Record]], Points]) -> dict[str, Points]:
    curves = {entry.name: points_of(entry.runs) for entry in summary.entries}
    return {name: points for name, points in curves.items() if points}


def _weights(summary: Summary) -> list[Figure]:
    drawn = []
    for position, entry in enumerate(summary.entries):
        epochs = weights_by_epoch(entry.runs)
        if not epochs:
            continue
        plot = weight_plot(f"{entry.name}: sample weight by epoch", epochs, position)
        drawn.append(Figure(entry.name, "", plot.svg()))
    return drawn
