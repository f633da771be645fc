"""From YAML and options to a list of runs."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import make_plan
from recbole_logq.parsing import parse_arguments

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
        ({"models": [None], "dataset": "a"}, "neither a name nor a mapping"),
        ({"models": [{"model": ["A"]}], "dataset": "a"}, "neither a name nor a mapping"),
        ({"models": {"model": "A"}, "dataset": "a"}, "models={'model': 'A'}: a list"),
        ({"models.a": "A", "dataset": "a"}, "models={'a': 'A'}: a list"),
        ({"models": 5, "dataset": "a"}, "models=5: a list"),
        ({"models": [{"model": "A", "name": ""}], "dataset": "a"}, "name=''"),
        ({"models": [{"model": "A", "dataset": "b"}], "dataset": "a"}, "models: A: dataset='b' is no setting"),
        ({"models": [{"model": "A", "seed": 7}], "dataset": "a"}, "models: A: seed=7 is no setting"),
        (
            {"models": [{"name": "x y", "model": "A"}, {"name": "x-y", "model": "A"}], "dataset": "a"},
            "are the same run",
        ),
        ({"models": "A", "dataset": "a", "datasets": ["b"]}, "dataset and datasets say the same thing"),
        ({"models": "A", "datasets": ["a", "a"]}, "datasets: a stands there twice"),
        ({"models": "A", "datasets": {"a": 1}}, "datasets={'a': 1}: a list"),
        ({"models": "A", "datasets": [["a"]]}, r"datasets=\['a'\]: a name"),
        ({"models": "A", "dataset": "a", "seeds": [True]}, r"seeds=\[True\]"),
        ({"models": "A", "dataset": "a", "seeds": "1,2,2"}, "seeds='1,2,2'"),
        ({"models": "A", "dataset": "a", "seeds": "1;2"}, "seeds='1;2'"),
        ({"models": "A", "dataset": "a", "seeds": 10**12}, "seeds=1000000000000"),
        ({"models": "A", "dataset": "a", "seeds": {"a": 1}}, "seeds={'a': 1}"),
        ({"models": "A", "dataset": "a", "reference": ""}, "reference=: one of A"),
        ({"models": "A", "dataset": "a", "reference": 0}, "reference=0: one of A"),
        ({"models": "A", "dataset": "a", "title": ".."}, "title='..': a name"),
        ({"models": "A", "dataset": "a", "title": ["x"]}, "title="),
        ({"models": "A", "dataset": "a", "seed": 5}, "seed=5 is no setting of a single model"),
        ({"models": "A", "dataset": "a", "model": "B"}, "model='B' is no setting"),
        ({"models": "A", "dataset": "a", "settings": {"seed": 5}}, "seed=5 is no setting"),
        ({"models": "A", "dataset": "a", "config_files": "b.yaml"}, "config_files='b.yaml' is no setting"),
        ({"models": "A", "dataset": "a", "settings": 5}, "settings=5: names of settings"),
        ({"models": "A", "dataset": "a", "settings": ["epochs"]}, r"settings=\['epochs'\]: names"),
        ({"models": "A", "dataset": "a", "settings": {5: 1}}, "5: the name of a setting is a text"),
        ({"models": "A", "dataset": "a", "settings.epochs": 1, "epochs": 2}, "epochs is given twice, as 2 and, under"),
        (
            {"models": "A", "dataset": "a", "settings": {"negatives.count": 1}, "negatives.count": 2},
            "negatives.count is given twice",
        ),
        (
            {"models": "A", "dataset": "a", "settings": {"epochs": 1}, "settings.epochs": 2},
            "settings.epochs is given tw",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_meant_is_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        make_plan([], options)


def test_an_unknown_key_of_a_file_is_named(tmp_path: Path) -> None:
    file = tmp_path / "experiment.yaml"
    file.write_text("modles: [A]\n")
    with pytest.raises(RequestError, match="unknown key modles - did you mean models"):
        make_plan([str(file)], {})


GIVEN: dict[str, Any] = {"models": "A", "dataset": "a", "seeds": 1}


@pytest.mark.parametrize(
    "settings",
    [
        {"settings": {"epochs": 1, "negatives": {"count": 8}}},
        {"settings": {"epochs": 1, "negatives.count": 8}},
        {"settings.epochs": 1, "settings.negatives.count": 8},
        {"settings.negatives.count": 8, "settings": {"epochs": 1}},
        {"epochs": 1, "settings": {"negatives.count": 8}},
        {"epochs": 1, "negatives.count": 8},
        {"epochs": 1, "settings.epochs": 1, "negatives": {"count": 8}},
    ],
    ids=str,
)
def test_settings_are_followed_wherever_they_stand(tmp_path: Path, settings: dict[str, Any]) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("settings: {epochs: 7, topk: [3], negatives.source: uniform}\n")
    for files, more in (([], {}), ([str(file)], {"topk": [3]})):
        found = make_plan(files, {**GIVEN, **settings}).runs[0].settings
        section = {"source": "uniform"} if files else {}
        assert found["epochs"] == 1
        assert found["negatives"] == {**section, "count": 8}
        assert more.items() <= found.items()


def test_the_command_line_is_followed_as_a_file_is(in_tmp: Path) -> None:
    words = ["--models=A,B", "--dataset=a", "--seeds=2,4", "--settings.epochs=1", "--settings.negatives.count=8"]
    (in_tmp / "a.yaml").write_text(
        "models: [A, B]\ndatasets: [a]\nseeds: [2, 4]\nsettings:\n  epochs: 1\n  negatives: {count: 8}\n"
    )
    assert make_plan([], parse_arguments(words)) == make_plan(["a.yaml"], {})


def test_what_is_above_wins_whatever_it_is_called(in_tmp: Path) -> None:
    (in_tmp / "a.yaml").write_text("models: [A]\ndatasets: [a, b]\nseeds: 1\nsettings.epochs: 3\n")
    (in_tmp / "b.yaml").write_text("dataset: c\n")
    assert [run.dataset for run in make_plan(["a.yaml"], {"dataset": "d"}).runs] == ["d"]
    assert [run.dataset for run in make_plan(["a.yaml", "b.yaml"], {}).runs] == ["c"]
    assert [run.dataset for run in make_plan(["b.yaml", "a.yaml"], {}).runs] == ["a", "b"]
    assert make_plan(["a.yaml"], {}).runs[0].settings["epochs"] == 3


def test_what_is_given_stays_as_it_is() -> None:
    negatives = {"count": 8}
    make_plan([], {**GIVEN, "negatives": negatives, "negatives.source": "uniform"})
    assert negatives == {"count": 8}


def test_seeds_as_text() -> None:
    for seeds, expected in (("3", [1, 2, 3]), ("2, 5,9", [2, 5, 9]), ("[4,6]", [4, 6]), ((7, 8), [7, 8])):
        assert [run.seed for run in make_plan([], {**GIVEN, "seeds": seeds}).runs] == expected


READY = ["train", "valid", "test"]


def test_a_ready_made_split_of_all_entries_is_that_of_the_plan() -> None:
    """Wherever it stands, and whether a file has it as a list or the command line as text."""
    entries = [{"model": "A", "benchmark_filename": READY}, {"model": "B", "benchmark_filename": "[train,valid,test]"}]
    for options in (
        {**GIVEN, "models": entries},
        {**GIVEN, "models": ["A", entries[0] | {"name": "C"}], "benchmark_filename": READY},
        {**GIVEN, "models": "A,B", "settings.benchmark_filename": READY},
    ):
        for run in make_plan([], options).runs:
            assert run.settings["eval_args"] == {"mode": "full"}  # the files are the split
            assert run.settings["benchmark_filename"] in (READY, "[train,valid,test]")
            assert run.settings["filter_history"] is True


@pytest.mark.parametrize("other", [["train", "valid", "late"], None])
def test_different_ready_made_splits_are_refused(other: list[str] | None) -> None:
    entries = [{"model": "A", "benchmark_filename": READY}, {"model": "B", "benchmark_filename": other}]
    with pytest.raises(RequestError, match=r"^A and B would be tested on different rows: benchmark_filename is .* and"):
        make_plan([], {**GIVEN, "models": entries})
    with pytest.raises(RequestError, match=r"^A and B would be tested on different rows: .* set one for all models"):
        make_plan([], {**GIVEN, "models": ["A", entries[1]], "benchmark_filename": READY})
    with pytest.raises(RequestError, match=r"^A and B would be tested on different rows"):
        make_plan([], {**GIVEN, "models": [entries[0], "B"]})


def test_the_command_of_a_run_can_be_pasted() -> None:
    given = {**GIVEN, "user_inter_num_interval": "[4,inf)", "note": "it's", "negatives.count": 8}
    words = shlex.split(make_plan([], given).runs[0].command)
    assert "--user_inter_num_interval=[4,inf)" in words
    assert "--note=it's" in words
    assert '--negatives={"count": 8}' in words
