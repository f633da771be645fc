"""From YAML and options to a list of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import make_plan

EXPERIMENT = """
title: two models
models:
  - SASRecLogQ
  - {name: deep, model: SASRecLogQ, n_layers: 4, negatives.count: 64}
dataset: ml-100k
seeds: [3, 5]
reference: deep
settings:
  epochs: 7
  negatives.count: 32
"""


def test_runs_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text(EXPERIMENT)
    plan = make_plan([str(file)], {"epochs": 9, "eval_args.split": {"LS": "test_only"}})
    assert (plan.title, plan.reference) == ("two models", "deep")
    assert [(run.name, run.seed) for run in plan.runs] == [
        ("SASRecLogQ", 3),
        ("deep", 3),
        ("SASRecLogQ", 5),
        ("deep", 5),
    ]
    settings = plan.runs[1].settings
    assert settings["epochs"] == 9  # the command line wins
    assert settings["n_layers"] == 4
    assert settings["seed"] == 3
    assert settings["filter_history"] is True  # one protocol for all, unless another one is set
    assert settings["eval_args"] == {"split": {"LS": "test_only"}, "order": "TO", "mode": "full"}


def test_models_and_seeds_on_the_command_line() -> None:
    plan = make_plan([], {"models": "BPR, TwoTowerLogQ", "dataset": "a,b", "seeds": 2})
    assert [(run.model, run.dataset, run.seed) for run in plan.runs] == [
        (model, dataset, seed) for dataset in ("a", "b") for seed in (1, 2) for model in ("BPR", "TwoTowerLogQ")
    ]
    assert plan.reference == "BPR"


def test_a_key_names_what_is_set() -> None:
    base: dict[str, Any] = {"models": "BPR", "dataset": "a", "seeds": 1}
    keys = [
        make_plan([], {**base, **more}).runs[0].key
        for more in ({}, {"epochs": 2}, {"epochs": 3}, {"models": "Pop"}, {"dataset": "b"}, {"seeds": [2]})
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == make_plan([], base).runs[0].key
    odd = make_plan([], {**base, "models": [{"name": "../<x> y", "model": "BPR"}]}).runs[0].key
    assert "/" not in odd
    assert "<" not in odd


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dataset": "a"}, "needs models and a dataset"),
        ({"models": "A"}, "needs models and a dataset"),
        ({"models": "A,A", "dataset": "a"}, "A stands there twice"),
        ({"models": "A", "dataset": "a", "seeds": 0}, "seeds=0"),
        ({"models": "A", "dataset": "a", "seeds": [1, 1]}, "seeds="),
        ({"models": "A", "dataset": "a", "seeds": True}, "seeds=True"),
        ({"models": "A", "dataset": "a", "reference": "B"}, "reference=B: one of A"),
        ({"models": [{"n_layers": 2}], "dataset": "a"}, "neither a name nor a mapping"),
    ],
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_plan([], options)


def test_an_unknown_key_of_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("modles: [A]\n")
    with pytest.raises(RequestError, match="unknown key modles - did you mean models"):
        make_plan([str(file)], {})
