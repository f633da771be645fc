"""Sweeps and comparisons on a cluster of several machines, one of which is lost."""

from __future__ import annotations

import contextlib
import json
import math
import os
import pty
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from recbole_logq import run
from recbole_logq.experiment import ray_cluster
from recbole_logq.experiment.plan_layers import PROTOCOL
from recbole_logq.interruption import handlers_kept

pytest.importorskip("ray")
pytest.importorskip("optuna")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A head that runs nothing and two workers of one core each."""
    before = dict(os.environ)
    os.environ.update(ray_cluster._QUIET)  # else trials give way to whatever else runs on the machine
    os.environ["RAY_CLIENT_SERVER_CHECK_CHANNEL_TIMEOUT_S"] = "60"  # a busy machine is no failure
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)  # a configuration of another test has set it
    from ray.cluster_utils import Cluster

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    head = {"num_cpus": 0, "include_dashboard": False, "ray_client_server_port": port}
    with handlers_kept():  # Ray takes TERM, and other tests come after these in the process
        started = Cluster(initialize_head=True, head_node_args=head)
        started.client = f"ray://127.0.0.1:{port}"
        for gpus in (2, 0):  # declared, not there: what counts is which trial is given which
            started.add_node(num_cpus=1, num_gpus=gpus)
        started.wait_for_nodes()
        yield started
        started.shutdown()
    os.environ.clear()
    os.environ.update(before)


def test_optuna_and_two_models_with_one_budget_on_a_cluster(
    cluster: Any, commands: Any, tmp_path: Path, write_sweep: Callable[..., str]
) -> None:
    models = [
        {"model": "BPR", "space": {"embedding_size": {"randint": [8, 9]}}},
        {"name": "ours", "model": "TwoTowerLogQ", "space": {"similarity": ["dot", "cosine"]}},
    ]
    space = {"learning_rate": {"loguniform": [1e-3, 1e-1]}}
    file = write_sweep(model=None, models=models, space=space, search="optuna", trials=3, cpus=0.5, gpus=1)
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


def test_term_leaves_nothing_running(
    cluster: Any, commands: Any, tmp_path: Path, trials: Any, write_sweep: Callable[..., str]
) -> None:
    file = write_sweep(scheduler="none", settings={"epochs": 1000})
    job = commands.start("sweep", file, "--folder=here", f"--address={cluster.address}", cwd=tmp_path)
    while not trials.running(tmp_path / "here") and job.poll() is None:
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
    cluster: Any, tmp_path: Path, trials: Any, write_sweep: Callable[..., str]
) -> None:
    huge = 10**12
    space = {"embedding_size": [huge, 8], "learning_rate": [0.05, 0.03, 0.02]}
    changes = {"max_cpu_seconds": 2, "cpus": 0.5, "gpus": 0.5, "settings": {"epochs": 9999}}
    file = write_sweep(space=space, scheduler="none", **changes)
    command = [sys.executable, "-m", "recbole_logq", "sweep", file, "--folder=here", f"--address={cluster.client}"]
    status, said = _in_a_terminal(command, tmp_path)
    assert status == 0, said
    records = trials.records(tmp_path / "here")
    failed = [one for one in records if one["point"]["embedding_size"] == huge]
    good = [one for one in records if one["point"]["embedding_size"] == 8]
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


def test_a_cluster_loses_a_machine(
    cluster: Any, commands: Any, tmp_path: Path, trials: Any, write_sweep: Callable[..., str]
) -> None:
    rates = [0.05, 0.04, 0.03, 0.02]
    file = write_sweep(space={"learning_rate": rates}, scheduler="none", settings={"epochs": 120})
    here = tmp_path / "here"
    job = commands.start("sweep", file, "--folder=here", f"--address={cluster.address}", cwd=tmp_path)
    on: dict[str, Any] = {}
    while not on and job.poll() is None:
        time.sleep(0.05)
        # Later than the first two, so that one is over, and it has only begun.
        on = {one["node"]: one for one in trials.running(here) if one["number"] > 2}
    before = trials.over(here)
    lost = next(node for node in cluster.worker_nodes if node.node_id in on)
    cluster.remove_node(lost, allow_graceful=False)
    assert job.wait(400) == 0, job.stderr
    assert before
    assert {file: file.stat().st_mtime_ns for file in before} == before
    records = trials.records(here)
    assert sorted(one["point"]["learning_rate"] for one in records) == sorted(rates)
    assert {one["status"] for one in records} == {"done"}
    again = next(one for one in records if one["trial"] == on[lost.node_id]["trial"])
    assert again["starts"] == 2
    assert again["node"] != lost.node_id
    assert [line["epoch"] for line in again["history"]] == list(range(1, 121))
    assert sum(one["starts"] for one in records) == len(rates) + 1
    assert all(math.isfinite(one["best_score"]) for one in records)
