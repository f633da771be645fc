"""Experiment trackers and the meter of energy, with real stores: MLflow in a file, W&B offline, CodeCarbon offline."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from logging import WARNING
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.errors import RequestError
from recbole_logq.experiment.tracking import _parameters
from recbole_logq.tracking_settings import check_tracking, local_uri, tracking_uri
from recbole_logq.training.trackers import Trackers, numbers_of

Stored = Callable[[Path], list[dict[str, Any]]]
SETTINGS = {"epochs": 2, "train_batch_size": 64, "show_progress": False, "embedding_size": 8}


def test_mlflow_has_what_the_record_has(in_store: Path, ml100k_cut: Path, stored: Stored) -> None:
    (in_store / "mlflow.db").rename(in_store / "store.db")
    settings = {**SETTINGS, "data_path": str(ml100k_cut), "log_mlflow": True, "mlflow_uri": "sqlite:///store.db"}
    result = run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)
    (last,) = (in_store / "saved").glob("*-last.pth")
    resumed = run(
        "TwoTowerCorrectedLogQ", "cut", config_dict={**settings, "epochs": 3, "run_name": "on"}, resume=str(last)
    )
    one, two = stored(in_store / "store.db")
    assert (one["name"], one["status"]) == ("TwoTowerCorrectedLogQ on cut, seed 2020", "FINISHED")
    assert two["name"] == "on"
    for entry, record in ((one, result), (two, resumed)):  # of a resumed run the whole history
        history = record["history"]
        assert entry["metrics"]["train/train_loss"] == pytest.approx([epoch["train_loss"] for epoch in history])
        median = [epoch["sample_weight"]["d50"] for epoch in history]
        assert entry["metrics"]["train/sample_weight/d50"] == pytest.approx(median)
        assert entry["metrics"]["valid/ndcg_at_10"] == [epoch["valid_result"]["ndcg@10"] for epoch in history]
        assert entry["metrics"]["eval/ndcg_at_10"] == [record["test_result"]["ndcg@10"]]
    assert one["params"]["negatives.source"] == "in_batch"
    assert one["params"]["embedding_size"] == "8"
    assert str(in_store) not in json.dumps(one["params"])
    assert str(ml100k_cut) not in json.dumps(one["params"])


def test_a_run_that_fails_is_one_that_failed(in_store: Path, ml100k_cut: Path, stored: Stored) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut), "log_mlflow": True}

    def stop(trainer: Any, loaders: Any) -> None:
        def fail(*words: Any, **others: Any) -> None:
            raise KeyboardInterrupt

        trainer._validate = fail

    with pytest.raises(Exception, match="interrupted"):
        run("TwoTowerCorrectedLogQ", "cut", config_dict=settings, callback=stop)
    assert [entry["status"] for entry in stored(in_store / "mlflow.db")] == ["FAILED"]


def test_recboles_models_and_loops_of_their_own(in_store: Path, ml100k_cut: Path, stored: Stored) -> None:
    settings = {"epochs": 1, "data_path": str(ml100k_cut), "log_mlflow": True, "show_progress": False}
    result = run("RecVAE", "cut", config_dict={**settings, "metrics": ["NDCG"], "valid_metric": "NDCG@10"})
    (entry,) = stored(in_store / "mlflow.db")
    assert entry["metrics"]["eval/ndcg_at_10"] == [result["test_result"]["ndcg@10"]]
    assert len(entry["metrics"]["train/train_loss"]) == 1


@pytest.mark.slow
def test_compare_logs_each_run_under_its_name(in_store: Path, ml100k_cut: Path, stored: Stored) -> None:
    words = ["compare", "--models=Pop,BPR", "--dataset=cut", f"--data_path={ml100k_cut}", "--seeds=1", "--title=two"]
    assert main([*words, "--epochs=1", "--log_mlflow=true", "--mlflow_experiment=two"]) == 0
    entries = stored(in_store / "mlflow.db")  # where the command stands, not where its runs do
    assert sorted(entry["name"] for entry in entries) == ["BPR on cut, seed 1", "Pop on cut, seed 1"]
    records = [json.loads(file.read_text(encoding="utf-8")) for file in (in_store / "comparisons").rglob("runs/*.json")]
    assert len(records) == 2
    assert str(in_store) not in json.dumps([record["result"]["parameters"]["mlflow_uri"] for record in records])


@pytest.mark.slow
def test_wandb_offline(in_tmp: Path, ml100k_cut: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wandb = pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_DIR", str(in_tmp))
    settings = {
        **SETTINGS,
        "data_path": str(ml100k_cut),
        "log_wandb": True,
        "wandb_project": "mine",
        "run_name": "first",
    }
    for name in ("first", "second"):
        run("TwoTowerCorrectedLogQ", "cut", config_dict={**settings, "run_name": name})
        assert wandb.run is None  # over, so that the next one is another
    files = sorted(in_tmp.rglob("run-*.wandb"))
    assert len(files) == 2
    texts = b"".join(file.read_bytes() for file in files)
    for word in (
        b"first",
        b"second",
        b"mine",
        b"train/train_loss",
        b"valid/ndcg@10",
        b"eval/ndcg@10",
        b"negatives.source",
    ):
        assert word in texts


def test_energy_is_in_the_record(in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model=TwoTowerCorrectedLogQ", "--dataset=cut", f"--data_path={ml100k_cut}", "--train_batch_size=64"]
    words += ["--log_energy=true", "--country_iso_code=DEU", "--output=run.json", "--page=run.html"]
    assert main([*words, "--epochs=2"]) == 0
    assert "g of CO2 (DEU), an estimate of the process's" in capsys.readouterr().out
    result = json.loads((in_tmp / "run.json").read_text(encoding="utf-8"))
    used = [epoch["energy_kwh"] for epoch in result["history"]]
    assert 0 < used[0] < used[1] < result["energy"]["kwh"] < 0.1
    # Of a country's mix: between the cleanest and the dirtiest that there is, kg a kWh.
    assert 0.01 < result["energy"]["co2_kg"] / result["energy"]["kwh"] < 1.2
    assert "energy, Wh, as CodeCarbon estimates it" in (in_tmp / "run.html").read_text(encoding="utf-8")
    assert not list(in_tmp.rglob("emissions*"))
    (last,) = (in_tmp / "saved").glob("*-last.pth")
    assert main([*words, "--epochs=3", f"--resume={last}"]) == 0
    again = json.loads((in_tmp / "run.json").read_text(encoding="utf-8"))
    assert [epoch["energy_kwh"] for epoch in again["history"]][:2] == used
    assert again["history"][2]["energy_kwh"] > used[1]


class _Failing:
    name = "service"

    def __init__(self) -> None:
        self.asked: list[str] = []

    def log(self, values: dict[str, float], epoch: int) -> None:
        self.asked.append(f"epoch {epoch}")
        if epoch == 1:
            raise ConnectionError("no\nroute")

    def summarise(self, values: dict[str, float]) -> None:
        self.asked.append("summary")

    def end(self, outcome: str) -> None:
        self.asked.append("end")


class _Writer:
    def __init__(self) -> None:
        self.written: list[tuple[str, float, int]] = []

    def add_scalar(self, *words: Any) -> None:
        self.written.append(words)


def test_a_tracker_that_fails_is_left_out_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    writer, failing, other = _Writer(), _Failing(), _Failing()
    other.log = lambda values, epoch: other.asked.append(f"epoch {epoch}")  # type: ignore[method-assign]
    trackers = Trackers(writer)
    trackers.start([failing, other], [{"epoch": 0, "train_loss": 3.0}])
    with caplog.at_level(WARNING):
        for epoch in (1, 2):
            trackers.log_epoch({"epoch": epoch, "train_loss": 2.0})
        trackers.summarise({"x": 1.0})
        trackers.end("finished")
    assert failing.asked == ["epoch 0", "epoch 1"]
    assert other.asked == ["epoch 0", "epoch 1", "epoch 2", "summary", "end"]
    assert [record.message for record in caplog.records] == ["service is told nothing more of this run: no route"]
    assert [(name, epoch) for name, _, epoch in writer.written] == [("Loss/Train", epoch) for epoch in range(3)]


def test_names_of_numbers_and_tensorboards_tags() -> None:
    record = {"epoch": 4, "train_loss": 2.0, "train_loss_0": 1.5, "valid_score": 0.1, "valid_result": {"ndcg@10": 0.1}}
    record |= {"sample_weight": {"d10": 0.9}, "diagnostics": {"entropy": None, "alignment": 1.0}, "flag": True}
    writer = _Writer()
    Trackers(writer).log_epoch(record)
    assert set(numbers_of(record)) == {
        *("train/train_loss", "train/train_loss_0", "valid/score", "valid/ndcg@10"),
        *("train/sample_weight/d10", "train/diagnostics/alignment"),
    }
    assert {(name, step) for name, _, step in writer.written} == {
        *(("Loss/Train", 4), ("Loss/Train0", 4), ("Valid_score", 4), ("Valid/ndcg@10", 4)),
        *(("SampleWeight/d10", 4), ("Diagnostics/alignment", 4)),
    }


def test_no_secret_is_sent() -> None:
    class Config(dict[str, Any]):
        def plain(self) -> dict[str, Any]:
            return dict(self)

    sent = _parameters(
        Config(
            api_key="x", own={"password": "x", "width": 3}, hub_access_token="x", train_batch_tokens=5, data_path="/x"
        )
    )
    assert sent == {"own.width": "3", "train_batch_tokens": "5"}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mlflow_uri": "http://me:word@host"}, "mlflow_uri holds a user or a password"),
        ({"mlflow_uri": "http://host?token=1"}, "mlflow_uri holds a user or a password"),
        ({"mlflow_uri": "folder/runs"}, "mlflow_uri='folder/runs': an address such as"),
        ({"mlflow_uri": "sqlite:///"}, "mlflow_uri='sqlite:///': an address such as"),
        ({"mlflow_uri": "sqlite:///no/such/folder/x.db"}, "x.db cannot be written; set mlflow_uri=sqlite:///FILE"),
        ({"mlflow_uri": "http://127.0.0.1:9"}, "log_mlflow=true: MLflow cannot be reached"),
        ({"log_mlflow": False, "mlflow_uri": "sqlite:///x.db"}, "nothing is sent to MLflow"),
        ({"log_mlflow": False, "mlflow_experiment": "x"}, "nothing is sent to MLflow"),
        ({"log_mlflow": False, "run_name": "x"}, "it is for W&B and MLflow"),
        ({"log_mlflow": False, "country_iso_code": "DEU"}, "no energy is measured"),
        ({"log_mlflow": False, "log_energy": True, "country_iso_code": "XXX"}, "country_iso_code='XXX': three letters"),
        ({"log_mlflow": False, "log_energy": True, "country_iso_code": "de"}, "country_iso_code='de': three letters"),
    ],
    ids=str,
)
def test_bad_requests(in_tmp: Path, monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], message: str) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(RequestError) as caught:
        run("TwoTowerCorrectedLogQ", "ml-100k", config_dict={"log_mlflow": True, **settings})
    assert message in str(caught.value)
    assert "word" not in str(caught.value).replace("password", "").replace("PASSWORD", "")
    assert "\n" not in str(caught.value)
    assert not list(in_tmp.rglob("*.log"))  # before any work


def test_an_extra_that_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "mlflow" else whole(name))
    with pytest.raises(RequestError, match=r"log_mlflow=true needs mlflow: run `pip install 'recbole-logq\[mlflow\]'`"):
        check_tracking({"log_mlflow": True})


def test_a_file_is_the_same_from_every_folder(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert tracking_uri(None) == f"sqlite:///{in_tmp / 'mlflow.db'}"
    assert local_uri({"log_mlflow": True}) == {"mlflow_uri": f"sqlite:///{in_tmp / 'mlflow.db'}"}
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://me:word@host")
    assert local_uri({"log_mlflow": True}) == {}  # what the environment says stays there
    assert local_uri({}) == {}
    assert tracking_uri("https://other") == "https://other"
