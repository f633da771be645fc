"""The figures of a single run: what training did, epoch by epoch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from recbole_logq.report.curves import Points, of_epochs, steps_per_second
from recbole_logq.report.page import Block, Figure, Figures, Text
from recbole_logq.report.summary import limits
from recbole_logq.report.svg import Plot, Scale
from recbole_logq.report.weight_figure import WEIGHTS, weight_plot

_NO_LIMITS = (float("-inf"), float("inf"))
_FROM_ZERO = (0.0, float("inf"))
_MEMORY = {"peak_memory_mb": "process", "peak_device_memory_mb": "accelerator"}


def figures(result: Mapping[str, Any]) -> list[Block]:
    """Headings and figures of a run; a figure that has nothing to show is left out.

    Args:
        result: Result as :func:`recbole_logq.run` returns it.
    """
    history: Sequence[dict[str, Any]] = result.get("history") or []
    if not history:
        return [Text(text="No curves: this model has a training loop of its own, which keeps no record of epochs.")]
    learning = [_loss(history), _score(result, history), _temperature(history)]
    blocks: list[Block] = [Text("Training"), Figures([figure for figure in learning if figure])]
    metrics = _curves(history, "valid_result")
    if len(metrics) > 1:
        series = {name: number for number, name in enumerate(metrics)}
        blocks += [Text("Metrics on validation"), Figures([_metrics(metrics, series)], "Metrics to show", series)]
    if any(epoch.get("sample_weight") for epoch in history):
        weights = [
            {"epoch": epoch["epoch"], **epoch["sample_weight"]} for epoch in history if epoch.get("sample_weight")
        ]
        drawing = weight_plot("Sample weight by epoch", weights, 0).svg()
        blocks += [Text("Sample weights", WEIGHTS), Figures([Figure("Sample weight", "", drawing)])]
    blocks += [Text("Speed and memory"), Figures(_costs(history))]
    if diagnostics := _curves(history, "diagnostics"):
        note = "Of the vectors and the softmax, on the last batch of each epoch."
        drawn = [_figure(name, "", points, name, _NO_LIMITS) for name, points in diagnostics.items()]
        blocks += [Text("Diagnostics", note), Figures(drawn)]
    return blocks


def _loss(history: Sequence[dict[str, Any]]) -> Figure:
    points = of_epochs(history, "train_loss")
    return _figure("Training loss", "Mean over the rows of an epoch.", points, "loss", _NO_LIMITS)


def _score(result: Mapping[str, Any], history: Sequence[dict[str, Any]]) -> Figure | None:
    points, name = of_epochs(history, "valid_score"), _valid_metric(result)
    if not points:
        return None
    best = result.get("best_epoch")
    chosen = [(epoch, score) for epoch, score in points if epoch == best]
    note = f"Best epoch: {best}." if chosen else ""
    plot = _plot(f"Validation {name}", points, name, limits(name))
    plot.line(points, 0, name)
    plot.dots([(*point, f"best epoch: {name} {point[1]:.4f} at {point[0]:g}") for point in chosen], 1)
    return Figure("Validation", note, plot.svg())


def _temperature(history: Sequence[dict[str, Any]]) -> Figure | None:
    points = of_epochs(history, "temperature")
    note = "At the end of each epoch."
    return _figure("Temperature", note, points, "temperature", _FROM_ZERO) if points else None


def _valid_metric(result: Mapping[str, Any]) -> str:
    return str((result.get("parameters") or {}).get("valid_metric") or "score").lower()


def _metrics(metrics: Mapping[str, Points], series: Mapping[str, int]) -> Figure:
    known = {limits(name) for name in metrics}
    together = known.pop() if len(known) == 1 else _NO_LIMITS
    plot = _plot("Metrics on validation", [point for points in metrics.values() for point in points], "value", together)
    for name, points in metrics.items():
        plot.line(points, series[name], name)
    return Figure("Metrics on validation", "", plot.svg())


def _costs(history: Sequence[dict[str, Any]]) -> list[Figure]:
    drawn = []
    if speed := steps_per_second(history):
        note = "Without validation, by wall clock."
        drawn.append(_figure("Steps per second", note, speed, "steps / s", _FROM_ZERO, zero=True))
    for key, owner in _MEMORY.items():
        if points := of_epochs(history, key):
            title = f"Peak memory of the {owner}"
            drawn.append(_figure(title, "Largest so far.", points, "MB", _FROM_ZERO, zero=True))
    if points := of_epochs(history, "energy_kwh"):
        drawn.append(
            _figure("Energy", "Used so far, as CodeCarbon estimates it.", points, "kWh", _FROM_ZERO, zero=True)
        )
    return drawn


def _curves(history: Sequence[dict[str, Any]], key: str) -> dict[str, Points]:
    """A curve for each name that stands in a part of the records of epochs."""
    names = dict.fromkeys(name for epoch in history for name in epoch.get(key) or {})
    curves = {
        name: of_epochs([{"epoch": entry["epoch"], **(entry.get(key) or {})} for entry in history], name)
        for name in names
    }
    return {name: points for name, points in curves.items() if points}


def _figure(
    title: str, note: str, points: Points, label: str, bounds: tuple[float, float], zero: bool = False
) -> Figure:
    plot = _plot(title, points, label, bounds, zero)
    plot.line(points, 0, title)
    return Figure(title, note, plot.svg())


def _plot(title: str, points: Points, label: str, bounds: tuple[float, float], zero: bool = False) -> Plot:
    x = Scale([epoch for epoch, _ in points], limits=_FROM_ZERO, room=0.02)
    y = Scale([value for _, value in points], zero=zero, limits=bounds)
    return Plot(title, x, y, "epoch", label, x_ticks=x.whole_ticks())
