"""Sweeps with real processes: this machine alone, killed half-way, and a cluster that loses a machine."""

from __future__ import annotations

import contextlib
import csv
import json
import math
import os
import pty
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
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
GOOD, BAD, BROKEN = [0.05, 0.03], [1e-5, 2e-5, 3e-5], 1e36


def records_in(folder: Path) -> list[dict[str, Any]]:
    found = []
    for file in folder.glob("*/records/*.json"):
        found.append(json.loads(file.read_text(encoding="utf-8")))
    return sorted(found, key=lambda one: one["number"])


def over(folder: Path) -> dict[Path, int]:
    """Files of trials that are over, and when they were written."""
    files = {}
    for file in folder.glob("*/records/*.json"):
        if json.loads(file.read_text(encoding="utf-8"))["status"] in {"done", "stopped", "failed"}:
            files[file] = file.stat().st_mtime_ns
    return files


def running(folder: Path) -> list[dict[str, Any]]:
    """Records of trials that have been validated and go on."""
    return [one for one in records_in(folder) if one["status"] == "running" and one["folder"]]


def write_sweep(folder: Path, data: Path, **changes: Any) -> str:
    settings = {"data_path": str(data), "epochs": 6, "topk": [5], "metrics": ["NDCG"], "valid_metric": "NDCG@5"}
    settings |= {"similarity": "dot", "train_batch_size": 256, "metric_decimal_place": 12, "stopping_step": 100}
    content = {"model": "TwoTowerLogQ", "dataset": "cut", "search": "grid", "scheduler": {"grace_period": 2}}
    content |= {"space": {"learning_rate": [*GOOD, BROKEN, *BAD]}, **changes}
    content["settings"] = {**settings, **changes.get("settings", {})}
    (folder / "sweep.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
    return "--config_files=sweep.yaml"


def test_from_the_file_to_the_winner(
    commands: Any, own_code: Path, tmp_path: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    # A loss of the user's own, in a file beside the sweep's, which trials and the test of the winner have to find.
    (tmp_path / "my_loss.py").write_text(OWN_LOSS, encoding="utf-8")
    own = {"loss": "my_logq", "plugins": "./my_loss.py"}
    words = ["sweep", write_sweep(tmp_path, ml100k_cut, settings=own), "--folder=here"]
    done = commands.run(*words, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    here = tmp_path / "here"
    trials = records_in(here)
    by_rate = {one["point"]["learning_rate"]: one for one in trials}
    assert len(trials) == len(by_rate) == 6
    # One configuration is broken, and the others go on.
    assert by_rate[BROKEN]["status"] == "failed"
    assert "training loss" in by_rate[BROKEN]["error"]
    # ASHA stops some, early, and none of what trains to its end did worse at the first rung than all that it stopped.
    stopped = [one for one in trials if one["status"] == "stopped"]
    ended = [one for one in trials if one["status"] == "done"]
    assert stopped
    assert ended
    assert {one["epochs"] for one in stopped} == {2}
    assert {one["epochs"] for one in ended} == {6}
    assert [line["epoch"] for line in ended[0]["history"]] == [1, 2, 3, 4, 5, 6]
    assert max(one["history"][1]["best_score"] for one in ended) >= max(one["best_score"] for one in stopped)
    # Folders of their own, data from the store, checkpoints of the winner alone.
    assert len({one["folder"] for one in trials}) == 6
    assert {one["data"] for one in trials if one["status"] != "failed"} == {"shared"}
    results = json.loads((here / "results.json").read_text(encoding="utf-8"))["searches"][0]
    winner = next(one for one in trials if one["number"] == results["winner"])
    assert winner["best_score"] == max(one["best_score"] for one in ended)
    assert list(here.glob("*/trials/*/saved/*.pth")) == [here / "TwoTowerLogQ" / winner["checkpoint"]]
    assert str(tmp_path) not in json.dumps(trials)  # what lies in the sweep's folder names nothing outside of it
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
    commands: Any, in_tmp: Path, tmp_path: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = [0.05, 0.04, 0.03, 0.02, 0.01, 0.005]
    file = write_sweep(tmp_path, ml100k_cut, space={"learning_rate": rates}, scheduler="none", settings={"epochs": 60})
    here = tmp_path / "here"
    job = commands.start("sweep", file, "--folder=here", cwd=tmp_path)
    while (len(over(here)) < 2 or not running(here)) and job.poll() is None:
        time.sleep(0.05)
    processes = psutil.Process(job.pid).children(recursive=True)
    job.send_signal(signal.SIGKILL)
    job.wait()
    assert psutil.wait_procs(processes, timeout=30)[1] == []
    original = {file: file.read_bytes() for file in here.rglob("*") if file.is_file()}
    here = shutil.copytree(here, tmp_path / "copy")
    words = ["sweep", file, "--folder=copy"]
    before = over(here)
    assert 2 <= len(before) < len(rates)
    assert any(one["folder"] for one in records_in(here) if one["status"] == "running")
    cut_off = {one["trial"]: one for one in records_in(here) if one["status"] == "running"}
    assert main(words) == 2
    assert "--resume goes on with it" in capsys.readouterr().err
    resumed = commands.run(*words, "--resume", cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert {file: file.read_bytes() for file in original} == original
    trials = records_in(here)
    assert sorted(one["point"]["learning_rate"] for one in trials) == sorted(rates)
    assert {one["status"] for one in trials} == {"done"}
    # What was cut off after its first epoch went on in its own folder.
    assert {one["folder"] for one in cut_off.values() if one["folder"]} <= {one["folder"] for one in trials}
    # As if it had never been cut off: a run of the same settings gives the same scores.
    one = next(one for one in trials if one["folder"] in {other["folder"] for other in cut_off.values()})
    content = yaml.safe_load((tmp_path / "sweep.yaml").read_text(encoding="utf-8"))
    result = run(
        "TwoTowerLogQ", "cut", config_dict={**PROTOCOL, **content["settings"], **one["point"], "use_gpu": False}
    )
    assert [line["valid_score"] for line in result["history"]] == [line["score"] for line in one["history"]]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs nothing and two workers of one core each."""
    os.environ["RAY_ENABLE_UV_RUN_RUNTIME_ENV"] = "0"
    os.environ["RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S"] = "60"  # a busy machine is no failure
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # a configuration of another test has set it
    from ray.cluster_utils import Cluster

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {"num_cpus": 0, "include_dashboard": False, "ray_client_server_port": port}
    found = Cluster(initialize_head=True, head_node_args=head)
    found.client = f"ray://127.0.0.1:{port}"
    for gpus in (2, 0):  # declared, not there: what counts is which trial is given which
        found.add_node(num_cpus=1, num_gpus=gpus)
    found.wait_for_nodes()
    yield found
    found.shutdown()


def test_optuna_and_two_models_with_one_budget_on_a_cluster(
    cluster: Any, commands: Any, tmp_path: Path, ml100k_cut: Path
) -> None:
    models = [
        {"model": "BPR", "space": {"embedding_size": {"randint": [8, 9]}}},
        {"name": "ours", "model": "TwoTowerLogQ", "space": {"similarity": ["dot", "cosine"]}},
    ]
    space = {"learning_rate": {"loguniform": [1e-3, 1e-1]}}
    file = write_sweep(
        tmp_path, ml100k_cut, model=None, models=models, space=space, search="optuna", trials=3, cpus=0.5, gpus=1
    )
    text = (tmp_path / "sweep.yaml").read_text(encoding="utf-8")
    (tmp_path / "sweep.yaml").write_text(text.replace("  similarity: dot\n", "").replace("epochs: 6", "epochs: 2"))
    done = commands.run("sweep", file, "--folder=here", f"--address={cluster.address}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "here" / "results.json").read_text(encoding="utf-8"))["searches"]
    assert [(one["name"], len(one["trials"])) for one in found] == [("BPR", 3), ("ours", 3)]
    assert {one["point"]["embedding_size"] for one in found[0]["trials"]} <= {8, 9}
    assert all(one["test_result"]["ndcg@5"] >= 0 for one in found)
    # Two at a time, each with the device that Ray gave it: RecBole would give both the first.
    assert {trial["devices"] for one in found for trial in one["trials"]} == {"0", "1"}
    for name in ("BPR", "ours"):
        assert yaml.safe_load((tmp_path / "here" / name / "best.yaml").read_text(encoding="utf-8"))["model"]


def _busy(address: str) -> int:
    """Trials that hold a core of the cluster."""
    import ray

    ray.init(address, log_to_driver=False, logging_level="ERROR")
    try:
        return round(ray.cluster_resources()["CPU"] - ray.available_resources().get("CPU", 0))
    finally:
        ray.shutdown()


def _busy_in_the_end(address: str) -> int:
    end = time.time() + 60
    while (busy := _busy(address)) and time.time() < end:
        time.sleep(0.5)
    return busy


def test_term_leaves_nothing_running(cluster: Any, commands: Any, tmp_path: Path, ml100k_cut: Path) -> None:
    file = write_sweep(tmp_path, ml100k_cut, scheduler="none", settings={"epochs": 1000})
    job = commands.start("sweep", file, "--folder=here", f"--address={cluster.address}", cwd=tmp_path)
    while not running(tmp_path / "here") and job.poll() is None:
        time.sleep(0.1)
    job.send_signal(signal.SIGTERM)  # as Ctrl-C, although Ray has a handler of its own for it
    assert job.wait(120) == 1
    assert job.stderr.strip().splitlines()[-1] == "error: interrupted; the same command with --resume goes on"
    assert _busy_in_the_end(cluster.address) == 0


def _in_a_terminal(command: list[str], cwd: Path) -> tuple[int, str]:
    """Exit status, and everything that the terminal was told."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150", "LINES": "40"}
    with subprocess.Popen(command, cwd=cwd, env=environment, stdout=theirs, stderr=theirs) as job:
        os.close(theirs)
        said = b""
        with contextlib.suppress(OSError):  # at its end
            while part := os.read(ours, 65536):
                said += part
        os.close(ours)
    return job.returncode, said.decode()


def test_a_ray_client_in_a_terminal_until_the_cpu_seconds_are_spent(
    cluster: Any, tmp_path: Path, ml100k_cut: Path
) -> None:
    huge = 10**12
    space = {"embedding_size": [huge, 8], "learning_rate": [0.05, 0.03, 0.02]}
    changes = {"max_cpu_seconds": 2, "cpus": 0.5, "gpus": 0.5, "settings": {"epochs": 9999}}
    file = write_sweep(tmp_path, ml100k_cut, space=space, scheduler="none", **changes)
    command = [sys.executable, "-m", "recbole_logq", "sweep", file, "--folder=here", f"--address={cluster.client}"]
    status, said = _in_a_terminal(command, tmp_path)
    assert status == 0, said
    trials = records_in(tmp_path / "here")
    failed = [one for one in trials if one["point"]["embedding_size"] == huge]
    good = [one for one in trials if one["point"]["embedding_size"] == 8]
    # Out of memory, said so; the others go on until the budget is spent, and nothing starts after that.
    assert len(failed) == 3
    assert {one["status"] for one in failed} == {"failed"}
    assert all("allocate" in one["error"] for one in failed)
    assert len(good) == 2
    assert {one["status"] for one in good} == {"stopped"}
    assert 2 <= sum(one["train_cpu_seconds"] for one in good) < 4
    # Two at a time on one device, the one that Ray gave them.
    assert max(one["started"] for one in good) < min(one["ended"] for one in good)
    assert len({one["devices"] for one in good}) == 1
    assert {one["devices"] for one in good} < {"0", "1"}
    assert {one["data"] for one in good} == {"shared"}
    # A table that is drawn again and again, with what runs and what is over.
    assert "TwoTowerLogQ: 0 of 6 trials (0 done, 0 stopped, 0 failed)" in said
    assert "TwoTowerLogQ: 5 of 6 trials (0 done, 2 stopped, 3 failed)" in said
    assert said.count("running") > 3
    assert "\x1b[1A" in said
    # The winner ends at the same epoch when it is run again, and its score is the same.
    winner = max(good, key=lambda one: one["best_score"])
    assert f"trial {winner['number']} wins" in said
    assert "test (trained again)" in said
    best = yaml.safe_load((tmp_path / "here" / "best.yaml").read_text(encoding="utf-8"))
    assert best["epochs"] == winner["epochs"]
    again = json.loads((tmp_path / "here" / "TwoTowerLogQ" / "winner" / "test.json").read_text(encoding="utf-8"))
    assert again["best_valid_score"] == winner["best_score"]
    assert _busy_in_the_end(cluster.address) == 0


def test_compare_on_a_cluster(cluster: Any, commands: Any, tmp_path: Path, ml100k_cut: Path) -> None:
    words = ["compare", "--dataset=cut", f"--data_path={ml100k_cut}", "--seeds=1", "--epochs=2", "--topk=[5]"]
    words += ["--valid_metric=NDCG@5", "--folder=here"]
    first = commands.run(*words, "--models=BPR", f"--address={cluster.address}", cwd=tmp_path)
    assert first.returncode == 0, first.stderr
    assert "[1/1] BPR, cut, seed 1: " in first.stderr
    second = commands.run(*words, "--models=BPR,TwoTowerLogQ", f"--address={cluster.client}", cwd=tmp_path)
    assert second.returncode == 0, second.stderr
    assert "1 of 2 runs are done" in second.stderr
    assert "[1/1] TwoTowerLogQ, cut, seed 1: " in second.stderr
    records = [json.loads(file.read_text(encoding="utf-8")) for file in (tmp_path / "here" / "runs").glob("*.json")]
    assert {one["model"]: one["status"] for one in records} == {"BPR": "done", "TwoTowerLogQ": "done"}
    # What a run here gives.
    one = next(one for one in records if one["model"] == "TwoTowerLogQ")
    settings = {**PROTOCOL, "data_path": str(ml100k_cut), "epochs": 2, "topk": [5], "valid_metric": "NDCG@5", "seed": 1}
    here = run("TwoTowerLogQ", "cut", config_dict={**settings, "checkpoint_dir": str(tmp_path / "saved")})
    assert here["test_result"] == one["result"]["test_result"]


def test_a_cluster_loses_a_machine(cluster: Any, commands: Any, tmp_path: Path, ml100k_cut: Path) -> None:
    rates = [0.05, 0.04, 0.03, 0.02]
    file = write_sweep(tmp_path, ml100k_cut, space={"learning_rate": rates}, scheduler="none", settings={"epochs": 120})
    here = tmp_path / "here"
    job = commands.start("sweep", file, "--folder=here", f"--address={cluster.address}", cwd=tmp_path)
    on: dict[str, Any] = {}
    while not on and job.poll() is None:
        time.sleep(0.05)
        # Later than the first two, so that one is over, and it has only begun.
        on = {one["node"]: one for one in running(here) if one["number"] > 2}
    before = over(here)
    lost = next(node for node in cluster.worker_nodes if node.node_id in on)
    cluster.remove_node(lost, allow_graceful=False)
    assert job.wait(400) == 0, job.stderr
    assert before
    assert {file: file.stat().st_mtime_ns for file in before} == before
    trials = records_in(here)
    assert sorted(one["point"]["learning_rate"] for one in trials) == sorted(rates)
    assert {one["status"] for one in trials} == {"done"}
    again = next(one for one in trials if one["trial"] == on[lost.node_id]["trial"])
    assert again["starts"] == 2
    assert again["node"] != lost.node_id
    assert [line["epoch"] for line in again["history"]] == list(range(1, 121))
    assert sum(one["starts"] for one in trials) == len(rates) + 1
    assert all(math.isfinite(one["best_score"]) for one in trials)
