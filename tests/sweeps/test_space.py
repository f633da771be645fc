"""The search space: what it holds, what it refuses, and how points are drawn from it."""

from __future__ import annotations

import math
from typing import Any

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.sweeps.range import Range
from recbole_logq.sweeps.space import grid, parse_space, resolved

CONDITIONAL = {
    "similarity": ["dot", "cosine"],
    "temperature": {"choice": [0.1, 0.2], "when": {"similarity": "cosine"}},
}


def test_names_can_be_dotted_or_nested() -> None:
    flat = parse_space({"negatives.count": [64, 128], "learning_rate": {"loguniform": [1e-4, 0.1]}})
    nested = parse_space({"negatives": {"count": {"choice": [64, 128]}}, "learning_rate": {"loguniform": [1e-4, 0.1]}})
    assert flat == nested
    assert [one.name for one in flat] == ["negatives.count", "learning_rate"]


def test_a_condition_keeps_a_parameter_out() -> None:
    assert grid(parse_space(CONDITIONAL)) == [
        {"similarity": "dot"},
        {"similarity": "cosine", "temperature": 0.1},
        {"similarity": "cosine", "temperature": 0.2},
    ]


def test_conditions_follow_each_other() -> None:
    space = parse_space({**CONDITIONAL, "warmth": {"choice": [1], "when": {"temperature": [0.2]}}})
    values = {"similarity": "cosine", "temperature": 0.2, "warmth": 1}
    assert resolved(space, values) == values
    assert resolved(space, {**values, "similarity": "dot"}) == {"similarity": "dot"}


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ({"quniform": [64, 256, 64]}, [64, 128, 192, 256]),
        ({"quniform": [0.1, 0.3, 0.1]}, [0.1, 0.2, 0.3]),
        ({"randint": [2, 4]}, [2, 3, 4]),
        ({"choice": [[], [64]]}, [[], [64]]),
    ],
)
def test_every_value_of_a_finite_range(content: dict[str, Any], expected: list[Any]) -> None:
    found = [point["x"] for point in grid(parse_space({"x": content}))]
    assert found == expected
    assert [type(one) for one in found] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("space", "message"),
    [
        ({}, "space: what to vary"),
        ({"x": 3}, "space.x=3"),
        ({"x": {"unifrom": [0, 1]}}, "unknown kind unifrom - did you mean uniform"),
        ({"x": {"uniform": [0, 1], "choice": [1]}}, "unknown kinds"),
        ({"x": {"choice": []}}, "a list of one value or more"),
        ({"x": {"choice": [1, 2, 1]}}, "stands there twice"),
        ({"x": {"choice": "abc"}}, "a list of one value or more"),
        ({"x": {"uniform": [2, 1]}}, "low must be below high"),
        ({"x": {"uniform": [1, 1]}}, "low must be below high"),
        ({"x": {"uniform": [1]}}, r"\[low, high\], numbers"),
        ({"x": {"uniform": [0, "a"]}}, r"\[low, high\], numbers"),
        ({"x": {"uniform": [0, True]}}, r"\[low, high\], numbers"),
        ({"x": {"uniform": [0, math.inf]}}, r"\[low, high\], numbers"),
        ({"x": {"loguniform": [0, 1]}}, "needs low above 0"),
        ({"x": {"quniform": [0, 1]}}, r"\[low, high, step\], numbers"),
        ({"x": {"quniform": [0, 10, 3]}}, "multiples of a step"),
        ({"x": {"quniform": [0, 10, 0]}}, "multiples of a step"),
        ({"x": {"randint": [0, 1.5]}}, "whole numbers"),
        ({"x": {"choice": [1], "when": "y"}}, "a choice and its value"),
        ({"x": {"choice": [1], "when": {"similarty": "dot"}}, "similarity": ["dot"]}, "did you mean similarity"),
        ({"x": {"choice": [1], "when": {"y": 1}}, "y": [1]}, "when y: put it above"),
        ({"y": {"uniform": [0, 1]}, "x": {"choice": [1], "when": {"y": 1}}}, "when y: that is uniform"),
        ({"y": [1, 2], "x": {"choice": [1], "when": {"y": 3}}}, "when y=3: its choice has"),
    ],
)
def test_refusals(space: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as error:
        parse_space(space)
    assert "\n" not in str(error.value)


def test_a_grid_needs_steps() -> None:
    with pytest.raises(RequestError, match="search=grid: x is uniform"):
        grid(parse_space({"x": {"uniform": [0, 1]}}))


def test_random_points_are_within_different_and_the_same_for_a_seed() -> None:
    pytest.importorskip("ray")
    from recbole_logq.sweeps.search import random_points

    content = {
        **CONDITIONAL,
        "learning_rate": {"loguniform": [1e-4, 1e-1]},
        "width": {"quniform": [64, 256, 64]},
        "layers": {"randint": [1, 3]},
        "wide": {"qloguniform": [1, 1024, 1]},
        "deep": {"lograndint": [1, 8]},
    }
    space = parse_space(content)
    points = random_points(space, 200, 1)
    assert points == random_points(space, 200, 1)
    assert points[:50] == random_points(space, 50, 1)
    assert points != random_points(space, 200, 2)
    assert len({repr(point) for point in points}) == 200
    assert all(("temperature" in point) == (point["similarity"] == "cosine") for point in points)
    assert {point["width"] for point in points} == {64, 128, 192, 256}
    assert {point["layers"] for point in points} == {1, 2, 3}
    assert {point["deep"] for point in points} == set(range(1, 9))
    assert all(type(point["wide"]) is int and 1 <= point["wide"] <= 1024 for point in points)
    rates = sorted(point["learning_rate"] for point in points)
    assert 1e-4 <= rates[0] < 2e-4
    assert 0.05 < rates[-1] <= 0.1
    assert 1e-3 < rates[100] < 1e-2  # the median of a log-uniform range is its geometric mean, 0.0032


def test_random_points_end_where_there_are_no_others() -> None:
    pytest.importorskip("ray")
    from recbole_logq.sweeps.search import random_points

    assert len(random_points(parse_space(CONDITIONAL), 10, 1)) == 3


def test_optuna_asks_for_points_of_the_space_and_knows_the_trials_of_an_earlier_session(tmp_path: Any) -> None:
    pytest.importorskip("ray")
    pytest.importorskip("optuna")
    import json

    from recbole_logq.sweeps.search import optuna_search

    space = parse_space(
        {**CONDITIONAL, "rate": {"loguniform": [1e-4, 1e-1]}, "sizes": [[], [64]], "width": {"quniform": [64, 256, 64]}}
        | {
            "depth": {"lograndint": [1, 8]},
            "count": {"qloguniform": [8, 64, 8]},
            "share": {"quniform": [0.0, 0.5, 0.1]},
        }
    )
    first = {"similarity": "cosine", "temperature": 0.2, "rate": 0.05, "sizes": [64], "width": 128}
    first |= {"depth": 2, "count": 16, "share": 0.3}
    search = optuna_search(space, "max", 1, [], [first])
    points, ended = [], []
    for i in range(12):
        point = json.loads(search.suggest(f"t{i}")["point"])
        points.append(point)
        search.on_trial_complete(f"t{i}", {"best_score": point["rate"]})
        ended.append({"point": point, "status": "done", "best_score": point["rate"]})
    search.save(str(tmp_path / "saved"))  # as Tune does all the time
    assert points[0] == first
    assert all(("temperature" in point) == (point["similarity"] == "cosine") for point in points)
    assert {type(point["width"]) for point in points} == {int}
    failed = {"point": points[-1] | {"rate": 0.001}, "status": "failed", "best_score": None}
    again = optuna_search(space, "max", 1, json.loads(json.dumps([*ended, failed])), [])
    known = again._ot_study.trials
    assert [one.value for one in known[:12]] == [one.value for one in search._ot_study.trials]
    assert [set(one.params) for one in known[:12]] == [set(point) for point in points]
    assert [one.state.name for one in known[11:]] == ["COMPLETE", "FAIL"]
    assert again._ot_study.best_value == max(point["rate"] for point in points)
    assert json.loads(again.suggest("t13")["point"]) not in points  # not the first draws once more


def test_a_scheduler_holds_new_trials_against_those_of_an_earlier_session() -> None:
    pytest.importorskip("ray")
    from types import SimpleNamespace

    from recbole_logq.sweeps.search import scheduler
    from recbole_logq.sweeps.sweep_plan import Asha

    def decision(ended: list[dict[str, Any]]) -> str:
        found = scheduler(Asha(grace_period=1, reduction_factor=2), "max", 4, ended)
        trial = SimpleNamespace(trial_id="new")
        found.on_trial_add(None, trial)
        return str(found.on_trial_result(None, trial, {"epoch": 1, "best_score": 0.1}))

    good = [{"trial": f"t{i}", "history": [{"epoch": 1, "best_score": 0.5}]} for i in range(4)]
    assert decision([]) == "CONTINUE"
    assert decision(good) == "STOP"


def test_a_value_off_its_step_is_rounded() -> None:
    assert Range("x", "quniform", (0.1, 0.5, 0.1)).rounded(0.30000000000000004) == 0.3
    assert Range("x", "qloguniform", (8, 64, 8)).rounded(21.3) == 24


def test_an_axis_has_a_position_for_every_value() -> None:
    choice, rate, width = parse_space(
        {"sizes": [[], [64], "all"], "rate": {"loguniform": [1e-4, 1]}, "width": {"quniform": [64, 256, 64]}}
    )
    assert [choice.position(value) for value in choice.options] == [0, 1, 2]
    assert (choice.limits, rate.limits, width.limits) == ((-0.5, 2.5), (1e-4, 1), (64, 256))
    assert (rate.options, rate.position(0.01)) == ((), 0.01)
    assert (choice.log, rate.log, width.log) == (False, True, False)
    assert (choice.middle(), rate.middle(), width.middle()) == ([64], pytest.approx(0.01), 128)
