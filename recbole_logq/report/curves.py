"""What the figures of a report show, as numbers: curves of one run, and means over the seeds of an entry."""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from recbole_logq.report.intervals import over_seeds

Points = list[tuple[float, float]]


def quality_over(runs: Sequence[dict[str, Any]], clock: str) -> Points:
    """The best validation score that a time of training gives, mean over seeds.

    A run keeps its best epoch, so its score at a time is the best so far, and stays when the run has ended. The curve
    starts where every seed has been validated once.

    Args:
        runs: Records of one entry.
        clock: ``train_seconds`` or ``train_cpu_seconds``, both without validation.

    Returns:
        Corners of a step function as (seconds, score), by time; empty where a run has no validation in its history.
    """
    curves = [_best_so_far(run["result"], clock) for run in runs]
    if not curves or not all(curves):
        return []
    start = max(curve[0][0] for curve in curves)
    times = sorted({time for curve in curves for time, _ in curve if time >= start})
    points: Points = []
    for time in times:
        score = sum(_at(curve, time) for curve in curves) / len(curves)
        # Only where it improves, and at the end, to which the line is drawn.
        if not points or score != points[-1][1] or time == times[-1]:
            points.append((time, score))
    return points


def _best_so_far(result: dict[str, Any], clock: str) -> Points:
    better = max if result.get("valid_score_bigger", True) else min
    points: Points = []
    for epoch in result.get("history") or []:
        score = epoch.get("valid_score")
        if score is not None:
            points.append((epoch[clock], better(score, points[-1][1]) if points else score))
    return points


def _at(curve: Points, time: float) -> float:
    return curve[bisect_right(curve, time, key=lambda point: point[0]) - 1][1]


def of_epochs(history: Sequence[dict[str, Any]], key: str) -> Points:
    """(epoch, value) of one run; an epoch without a finite value has no point.

    Args:
        history: Records of epochs, as in the result of :func:`recbole_logq.run`.
        key: Name of the value.
    """
    values = [(float(epoch["epoch"]), epoch.get(key)) for epoch in history]
    return [(epoch, float(value)) for epoch, value in values if value is not None and math.isfinite(value)]


def steps_per_second(history: Sequence[dict[str, Any]]) -> Points:
    """(epoch, steps of training in a second of the wall clock, without validation) of one run.

    Epochs of a version that counted no steps have no point, nor have those that were too short for the clock.
    """
    points: Points = []
    before = 0.0
    for epoch in history:
        seconds, before = epoch["train_seconds"] - before, epoch["train_seconds"]
        if epoch.get("steps") and seconds > 0:
            points.append((float(epoch["epoch"]), epoch["steps"] / seconds))
    return points


def by_decile(runs: Sequence[dict[str, Any]], metric: str = "recall@10_by_decile") -> Points:
    """(decile from 1, mean over seeds); a decile without targets has no point."""
    points: Points = []
    for decile in range(10):
        values = [
            run["measures"][metric][decile]
            for run in runs
            if metric in run["measures"] and run["measures"].get("targets_by_decile", [1] * 10)[decile]
        ]
        mean = over_seeds(values).mean
        if mean is not None:
            points.append((decile + 1, mean))
    return points


def weights_by_epoch(runs: Sequence[dict[str, Any]]) -> list[dict[str, float]]:
    """Sample weights: ``epoch``, ``mean`` and ``d10`` to ``d90``, mean over seeds, for epochs that every seed has.

    Epochs that only some seeds reached are left out: a change there could be one of the seeds that are left.
    """
    histories = [
        {
            epoch["epoch"]: epoch["sample_weight"]
            for epoch in run["result"].get("history") or []
            if epoch.get("sample_weight")
        }
        for run in runs
    ]
    if not histories:
        return []
    shared = sorted(set(histories[0]).intersection(*histories[1:]))
    return [
        {"epoch": epoch}
        | {key: sum(weights[epoch][key] for weights in histories) / len(histories) for key in histories[0][epoch]}
        for epoch in shared
    ]
