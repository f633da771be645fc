"""Sweeps with real processes on this machine: from the file to the winner, and killed half-way."""

from __future__ import annotations

import csv
import json
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import yaml

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.experiment.plan_layers import PROTOCOL

pytest.importorskip("ray")
pytest.importorskip("optuna")
pytestmark = pytest.mark.slow

OWN_LOSS = """
from recbole_logq.losses.logq import LogQ
from recbole_logq.registry import losses

@losses.register("my_logq", summary="logQ under another name")
class MyLogQ(LogQ):
    name = "my_logq"
"""


def test_from_the_file_to_the_winner(
    commands: Any,
    own_code: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    trials: Any,
    write_sweep: Callable[..., str],
) -> None:
    # A loss of the user's own, in a file beside the sweep's, which trials and the test of the winner have to find.
    (tmp_path / "my_loss.py").write_text(OWN_LOSS, encoding="utf-8")
    own = {"loss": "my_logq", "plugins": "./my_loss.py"}
    words = ["sweep", write_sweep(settings=own), "--folder=here"]
    done = commands.run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    here = tmp_path / "here"
    records = trials.records(here)
    by_rate = {one["point"]["learning_rate"]: one for one in records}
    assert len(records) == len(by_rate) == 6
    # One configuration is broken, and the others go on.
    assert by_rate[trials.broken]["status"] == "failed"
    assert "training loss" in by_rate[trials.broken]["error"]
    # ASHA stops some, early, and none of what trains to its end did worse at the first rung than all that it stopped.
    stopped = [one for one in records if one["status"] == "stopped"]
    ended = [one for one in records if one["status"] == "done"]
    assert stopped
    assert ended
    assert {one["epochs"] for one in stopped} == {2}
    assert {one["epochs"] for one in ended} == {6}
    assert [line["epoch"] for line in ended[0]["history"]] == [1, 2, 3, 4, 5, 6]
    assert max(one["history"][1]["best_score"] for one in ended) >= max(one["best_score"] for one in stopped)
    # Folders of their own, data from the store, checkpoints of the winner alone.
    assert len({one["folder"] for one in records}) == 6
    assert {one["data"] for one in records if one["status"] != "failed"} == {"shared"}
    results = json.loads((here / "results.json").read_text(encoding="utf-8"))["searches"][0]
    winner = next(one for one in records if one["number"] == results["winner"])
    assert winner["best_score"] == max(one["best_score"] for one in ended)
    assert list(here.glob("*/trials/*/saved/*.pth")) == [here / "TwoTowerLogQ" / winner["checkpoint"]]
    assert str(tmp_path) not in json.dumps(records)  # what lies in the sweep's folder names nothing outside of it
    assert str(tmp_path) not in json.dumps(results)
    assert results["tested"] == "checkpoint"
    with (here / "results.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["winner"] for row in rows].count("True") == 1
    assert {row["status"] for row in rows} == {"done", "stopped", "failed"}
    assert done.stderr.count("trial ") >= 6  # a line for each trial
    assert "wins" in done.stdout
    # The winner again, to the last digit.
    assert main(["--config_files=here/best.yaml", "--output=again.json"]) == 0
    result = json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))
    assert result["best_valid_score"] == winner["best_score"]
    assert result["test_result"] == results["test_result"]
    # Cut off before its report was written, and the winner's checkpoint is lost: it is trained again for its test.
    (here / "results.json").unlink()
    (here / "TwoTowerLogQ" / winner["checkpoint"]).unlink()
    resumed = commands.run(*words, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert "test (trained again)" in resumed.stdout
    assert "ndcg@5 0." in resumed.stdout
    anew = json.loads((here / "results.json").read_text(encoding="utf-8"))["searches"][0]
    assert anew == {**results, "tested": "trained again"}
    # A finished sweep says so and does nothing.
    before = {file: file.stat().st_mtime_ns for file in here.rglob("*")}
    for more in ([], ["--resume"]):
        assert main([*words, *more]) == 0
        assert f"this sweep is finished; results in {here}" in capsys.readouterr().err
    assert {file: file.stat().st_mtime_ns for file in here.rglob("*")} == before
    assert main([*words, "--epochs=7"]) == 2
    assert "another sweep lies in" in capsys.readouterr().err


def test_killed_half_way_and_resumed_in_a_copy(
    commands: Any,
    in_tmp: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    trials: Any,
    write_sweep: Callable[..., str],
) -> None:
    rates = [0.05, 0.04, 0.03, 0.02, 0.01, 0.005]
    file = write_sweep(space={"learning_rate": rates}, scheduler="none", settings={"epochs": 60})
    here = tmp_path / "here"
    job = commands.start("sweep", file, "--folder=here", cwd=tmp_path)
    while (len(trials.over(here)) < 2 or not trials.running(here)) and job.poll() is None:
        time.sleep(0.05)
    processes = psutil.Process(job.pid).children(recursive=True)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert psutil.wait_procs(processes, timeout=30)[1] == []
    original = {file: file.read_bytes() for file in here.rglob("*") if file.is_file()}
    here = shutil.copytree(here, tmp_path / "copy")
    words = ["sweep", file, "--folder=copy"]
    before = trials.over(here)
    assert 2 <= len(before) < len(rates)
    assert any(one["folder"] for one in trials.records(here) if one["status"] == "running")
    cut_off = {one["trial"]: one for one in trials.records(here) if one["status"] == "running"}
    assert main(words) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    resumed = commands.run(*words, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert {file: file.read_bytes() for file in original} == original
    records = trials.records(here)
    assert sorted(one["point"]["learning_rate"] for one in records) == sorted(rates)
    assert {one["status"] for one in records} == {"done"}
    # What was cut off after its first epoch went on in its own folder.
    assert {one["folder"] for one in cut_off.values() if one["folder"]} <= {one["folder"] for one in records}
    # As if it had never been cut off: a run of the same settings gives the same scores.
    one = next(one for one in records if one["folder"] in {other["folder"] for other in cut_off.values()})
    content = yaml.safe_load((tmp_path / "sweep.yaml").read_text(encoding="utf-8"))
    result = run(
        "TwoTowerLogQ", "cut", config_dict={**PROTOCOL, **content["settings"], **one["point"], "use_gpu": False}
    )
    assert [line["valid_score"] for line in result["history"]] == [line["score"] for line in one["history"]]
