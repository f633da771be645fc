"""Trials as experiment trackers and the meter of energy see them: a real sweep with real stores."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")
pytestmark = pytest.mark.slow


def test_trackers_of_trials(
    commands: Any,
    in_store: Path,
    stored: Callable[[Path], list[dict[str, Any]]],
    trials: Any,
    write_sweep: Callable[..., str],
) -> None:
    pytest.importorskip("wandb")
    # One trial after another: one trains to its end, one fails, two are stopped, the last when nothing follows.
    rates = [0.05, trials.broken, 1e-5, 2e-5]
    settings = {"epochs": 3, "log_mlflow": True, "log_wandb": True, "log_energy": True, "country_iso_code": "DEU"}
    file = write_sweep(space={"learning_rate": rates}, concurrent=1, settings=settings)
    done = commands.run("sweep", file, "--folder=here", cwd=in_store, WANDB_MODE="offline", WANDB_SILENT="true")
    assert done.returncode == 0, done.stderr
    records = {Path(one["folder"]).name: one for one in trials.records(in_store / "here")}
    assert [one["status"] for one in records.values()] == ["done", "failed", "stopped", "stopped"]
    # In the store where the command stands, each under the name of its folder.
    entries = {entry["name"].removeprefix("TwoTowerLogQ, "): entry for entry in stored(in_store / "mlflow.db")}
    assert entries.keys() == records.keys()
    statuses = {"done": "FINISHED", "failed": "FAILED", "stopped": "KILLED"}
    for name, record in records.items():
        entry = entries[name]
        assert entry["status"] == statuses[record["status"]], name
        assert float(entry["params"]["learning_rate"]) == record["point"]["learning_rate"]
        assert str(in_store) not in str(entry["params"])
        metrics = entry["metrics"]
        assert metrics.get("valid/score", []) == [line["score"] for line in record["history"] if "score" in line]
        assert metrics.get("best_valid_score", []) == ([record["best_score"]] if record["status"] == "done" else [])
        assert not any(key.startswith("eval/") for key in metrics)
        energy = metrics.get("train/energy_kwh", [])
        assert energy == sorted(energy)
        if record["status"] == "done":
            assert energy[0] > 0
            assert energy[-1] <= metrics["energy/kwh"][0] < 0.1
            assert metrics["energy/co2_kg"][0] > 0
    # W&B's files lie in the folder of their trial, though a process serves several.
    folders = [in_store / "here" / "TwoTowerLogQ" / "trials" / name for name in records]
    assert [len(list(folder.glob("wandb/offline-run-*/run-*.wandb"))) for folder in folders] == [1] * 4
    assert not list(in_store.rglob("emissions*"))


def test_a_trial_that_ends_well_leaves_no_meter_at_work(in_tmp: Path, ml100k_cut: Path) -> None:
    from recbole_logq.config import Config
    from recbole_logq.experiment.beginning import Phases, begin
    from recbole_logq.experiment.tracking import tracked

    settings = {"data_path": str(ml100k_cut), "epochs": 1, "log_energy": True, "show_progress": False}
    config = Config("Pop", "cut", None, settings)
    trainer, _, _ = begin(config, Phases())
    before = set(threading.enumerate())
    with tracked(config, trainer):
        assert set(threading.enumerate()) > before
    assert set(threading.enumerate()) <= before
