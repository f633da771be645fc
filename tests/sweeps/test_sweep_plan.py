"""What a sweep is asked to do, and what is refused before Ray starts."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from recbole_logq import sweep
from recbole_logq.cli import main
from recbole_logq.errors import RequestError
from recbole_logq.parsing import parse_arguments
from recbole_logq.sweeps.sweep_check import check
from recbole_logq.sweeps.sweep_plan import make_sweep, merged

SPACE: dict[str, Any] = {"learning_rate": {"loguniform": [1e-4, 1e-1]}}
SHIPPED = sorted((Path(__file__).parents[2] / "config" / "sweep").glob("*.yaml"))


@pytest.fixture
def options(ml100k_cut: Path) -> dict[str, Any]:
    return {
        "model": "TwoTowerLogQ",
        "dataset": "cut",
        "data_path": str(ml100k_cut),
        "topk": [5],
        "valid_metric": "NDCG@5",
    }


def test_files_options_and_models_are_merged(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    content = {"dataset": "d", "trials": 3, "settings": {"epochs": 5, "negatives.count": 64}, "space": SPACE}
    content["models"] = [
        "BPR",
        {"name": "mine", "model": "TwoTowerLogQ", "dropout": 0.1, "space": {"temperature": [1]}},
    ]
    file.write_text(yaml.safe_dump(content))
    plan = make_sweep([str(file)], {"trials": 4, "epochs": 6})
    assert plan.settings.trials == 4
    assert [(one.name, one.model) for one in plan.searches] == [("BPR", "BPR"), ("mine", "TwoTowerLogQ")]
    assert plan.searches[1].settings["epochs"] == 6
    assert plan.searches[1].settings["dropout"] == 0.1
    assert "dropout" not in plan.searches[0].settings
    assert [one.name for one in plan.searches[1].space] == ["learning_rate", "temperature"]
    assert [one.name for one in plan.searches[0].space] == ["learning_rate"]
    assert merged(plan.searches[1].settings, {"negatives.count": 8})["negatives"] == {"count": 8}


def test_parts_of_sections_are_put_on_top_of_a_file(in_tmp: Path) -> None:
    content = "model: BPR\ndataset: a\nspace: {learning_rate: [0.1, 0.2], negatives.count: [4]}\n"
    content += "scheduler: {grace_period: 2, reduction_factor: 4}\nsettings: {epochs: 5}\n"
    (in_tmp / "a.yaml").write_text(content)
    (in_tmp / "hyper.test").write_text("learning_rate choice [0.3]\nembedding_size choice [16,32]\n")
    words = ["--space.negatives.count=[8]", "--scheduler.grace_period=3", "--settings.epochs=6", "--models=A,B"]
    plan = make_sweep(["a.yaml"], parse_arguments(words))
    assert [search.model for search in plan.searches] == ["A", "B"]
    assert plan.settings.scheduler is not None
    assert (plan.settings.scheduler.grace_period, plan.settings.scheduler.reduction_factor) == (3, 4)
    assert {one.name: one.values for one in plan.searches[0].space} == {
        "learning_rate": (0.1, 0.2),
        "negatives.count": (8,),
    }
    assert plan.searches[0].settings["epochs"] == 6
    # Over the file, and below what is given beside it.
    ranges = make_sweep(["a.yaml"], {"space": {"embedding_size": [64]}}, "hyper.test").searches[0].space
    assert {one.name: one.values for one in ranges} == {
        "learning_rate": (0.3,),
        "negatives.count": (4,),
        "embedding_size": (64,),
    }


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": None}, "sweep needs a model, a dataset and a space"),
        ({"space": None}, "space: what to vary"),
        ({"space": {"lerning_rate": [0.1]}}, "did you mean learning_rate"),
        ({"space": {"learning_rate": [0.1, -1]}}, "space.learning_rate, value -1: learning_rate=-1"),
        ({"space": {"learning_rate": {"uniform": [-1, 1]}}}, "value -1"),
        ({"space": {"learning_rate": {"uniform": [1, 0]}}}, "low must be below high"),
        ({"space": {"seed": [1, 2]}}, "space.seed: it is not searched"),
        (
            {"space": {**SPACE, "request_time": ["unknown", "known"]}},
            "space.request_time: its trials would be measured",
        ),
        ({"space": {**SPACE, "eval_args.mode": ["full", "uni9"]}}, "set eval_args once, under settings"),
        ({"space": {**SPACE, "user_inter_num_interval": ["[2,inf)", "[5,inf)"]}}, "space.user_inter_num_interval: its"),
        ({"space": {**SPACE, "epochs": [1, 2]}, "epochs": 3}, "epochs stands in settings and in space"),
        ({"model": "Nothing"}, "no model named"),
        ({"dataset": "nowhere"}, "nowhere"),
        ({"trials": 0}, "trials=0"),
        ({"search": "bayes"}, "search='bayes'"),
        ({"search": "grid"}, "search=grid: learning_rate is loguniform"),
        ({"search": "grid", "trials": 4, "space": {"embedding_size": [4, 8]}}, "trials: a grid tries every"),
        ({"search": "grid", "search_seed": 4, "space": {"embedding_size": [4, 8]}}, "search_seed: a grid tries every"),
        ({"scheduler": "hyperband"}, "scheduler is asha, none"),
        ({"scheduler": {"grace": 1}}, "scheduler.grace"),
        ({"cpus": -1}, "cpus=-1"),
        ({"nproc": 2}, "nproc=2: only training runs in several processes"),
        ({"eval_step": 0}, "eval_step=0: trials are compared by their validation"),
        ({"trails": 5}, "unknown setting trails"),
        ({"model": "xgboost"}, "^xgboost needs a package that is not installed: "),
        ({"model": "lightgbm"}, "^lightgbm needs a package that is not installed: "),
        ({"model": "BRP"}, "^no model named 'BRP' - did you mean BPR"),
        ({"models": ["TwoTowerLogQ", {"model": "BPR", "valid_metric": "Recall@5"}], "model": None}, "valid_metric is"),
        ({"models": ["BPR", "BPR"], "model": None}, "BPR stands there twice"),
        ({"models": ["BPR"]}, "model and models say the same thing"),
        ({"dataset": ["cut"]}, r"dataset=\['cut'\]: a name"),
        ({"settings": {"dataset": "other"}}, "dataset='other' is no setting"),
        ({"settings": {"lerning_rate": 1}}, "did you mean learning_rate"),
        ({"settings": {"learning_rate": 0.1}}, "learning_rate stands in settings and in space"),
        ({"space": {"negatives": {"count": [4, 8]}, "negatives.count": [4]}}, "negatives.count stands there twice"),
        ({"space": [1]}, "space: names of settings"),
        ({"models": [{"name": "..", "model": "BPR"}], "model": None}, "name='..'"),
        (
            {"models": [{"name": "a b", "model": "BPR"}, {"name": "A-b", "model": "BPR"}], "model": None},
            "'a b' and 'A-b' would share a folder",
        ),
    ],
    ids=str,
)
def test_refused_before_ray_starts(
    options: dict[str, Any], changes: dict[str, Any], message: str, monkeypatch: pytest.MonkeyPatch, in_tmp: Path
) -> None:
    import recbole_logq.sweeps.sweep as module

    monkeypatch.setattr(module, "ray_session", lambda *_: pytest.fail("Ray was started"))
    given = {key: value for key, value in {**options, "space": SPACE, **changes}.items() if value is not None}
    with pytest.raises(RequestError, match=message) as error:
        sweep(None, given)
    assert "\n" not in str(error.value)
    assert list(in_tmp.iterdir()) == []


def test_an_unknown_key_of_the_file(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("modle: BPR\n")
    with pytest.raises(RequestError, match="unknown key modle - did you mean model"):
        make_sweep([str(file)], {})


def test_a_value_that_goes_with_one_option_only_is_no_mistake(options: dict[str, Any]) -> None:
    space = {"embedding_size": [64, 48], "n_heads": [2, 3]}  # 64 does not divide by 3
    configs = check(make_sweep([], {**options, "model": "SASRecLogQ", "space": space}))
    assert configs["SASRecLogQ"]["embedding_size"] % configs["SASRecLogQ"]["n_heads"] == 0
    with pytest.raises(RequestError, match=r"space\.n_heads, value 3"):
        check(make_sweep([], {**options, "model": "SASRecLogQ", "space": {**space, "embedding_size": [64, 32]}}))


def test_without_ray_it_says_what_to_install(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    (in_tmp / "a.yaml").write_text(yaml.safe_dump({"model": "BPR", "dataset": "ml-100k", "space": SPACE}))
    assert main(["sweep", "--config_files=a.yaml"]) == 2
    said = capsys.readouterr().err
    assert said == 'error: sweep: Ray is not installed; pip install "ray[tune]"\n'


def test_without_optuna_too(monkeypatch: pytest.MonkeyPatch, in_tmp: Path, options: dict[str, Any]) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(RequestError, match="optuna is not installed"):
        sweep(None, {**options, "space": SPACE, "search": "optuna"})


@pytest.mark.parametrize("words", [["--resume=x"], ["--resume"], ["--address"], ["--address="]], ids=str)
def test_bad_requests_on_the_command_line(
    words: list[str], ml100k_cut: Path, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (in_tmp / "a.yaml").write_text(yaml.safe_dump({"model": "BPR", "dataset": "ml-100k", "space": SPACE}))
    assert main(["sweep", "--config_files=a.yaml", *words]) == 2
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    assert not (in_tmp / "sweeps").exists()


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_shipped_files_are_accepted(file: Path) -> None:
    plan = make_sweep([str(file)], {"dataset": "ml-100k"})
    assert check(plan).keys() == {search.name for search in plan.searches}
    assert plan.settings.trials >= 8
    assert file.read_text(encoding="utf-8").startswith("#")
