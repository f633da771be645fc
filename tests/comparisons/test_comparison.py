"""A comparison with real processes: what is stored, what a restart does, what a failure does."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from recbole_logq import compare
from recbole_logq.comparisons.runs import Process, Store
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.plan import make_plan


@pytest.fixture
def options(ml100k_cut: Path) -> dict[str, Any]:
    quiet = {"data_path": str(ml100k_cut), "state": "WARNING", "epochs": 2, "train_batch_size": 256, "topk": [5, 10]}
    return {"dataset": "cut", "seeds": 2, "valid_metric": "NDCG@5", "metrics": ["NDCG", "Recall"], **quiet}


@pytest.mark.slow
def test_a_failed_run_is_reported_and_the_rest_goes_on(
    in_tmp: Path, ml100k_cut: Path, options: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    (in_tmp / "data").symlink_to(ml100k_cut)
    options["data_path"] = "data"
    models = [
        "TwoTowerLogQ",
        "BPR",
        {"name": "diverging", "model": "TwoTowerLogQ", "similarity": "dot", "learning_rate": 1e36},
    ]
    found = compare(None, {**options, "models": models}, processes=2)
    status = {(one["name"], one["seed"]): one["status"] for one in found["records"]}
    assert status == {
        (name, seed): "failed" if name == "diverging" else "done"
        for name in ("TwoTowerLogQ", "BPR", "diverging")
        for seed in (1, 2)
    }
    failed = next(one for one in found["records"] if one["status"] == "failed")
    assert "training loss" in failed["error"]
    assert "FAILED" in capsys.readouterr().err
    done = next(one for one in found["records"] if one["name"] == "TwoTowerLogQ")
    assert done["result"]["parameters"]["data_path"] == "data/cut"
    assert str(in_tmp) not in json.dumps(done)  # a record goes to others: it names no place of this machine
    users = done["per_user"]["ndcg@5"]
    assert len(set(done["users"])) == len(users)
    assert sum(users) / len(users) == pytest.approx(done["result"]["test_result"]["ndcg@5"], abs=1e-4)
    assert done["measures"]["recall@10"] == pytest.approx(done["result"]["test_result"]["recall@10"], abs=1e-4)
    verdicts = {(one["name"], one["metric"]): one["verdict"] for one in found["comparisons"]}
    assert verdicts.keys() == {("BPR", "ndcg@5"), ("BPR", "recall@5")}
    assert {path.suffix for path in found["report"]} == {".html", ".csv", ".json", ".md"}
    # A second time only what failed is tried again.
    before = {file: file.stat().st_mtime_ns for file in (in_tmp / "comparisons" / "cut" / "runs").glob("*.json")}
    compare(None, {**options, "models": models}, processes=2)
    assert "4 of 6 runs are done" in capsys.readouterr().err
    changed = {file.name for file, when in before.items() if file.stat().st_mtime_ns != when}
    assert len(changed) == 2
    assert all(name.startswith("diverging") for name in changed)


@pytest.mark.slow
def test_killed_half_way_and_started_again_it_repeats_nothing(commands: Any, tmp_path: Path, ml100k_cut: Path) -> None:
    words = ["--models=TwoTowerLogQ,SASRecLogQ", "--dataset=cut", "--seeds=2", f"--data_path={ml100k_cut}"]
    words = ["compare", *words, "--epochs=3", "--state=WARNING", "--folder=here"]
    job = commands.start(*words, cwd=tmp_path)
    runs = tmp_path / "here" / "runs"
    while not list(runs.glob("*.json")) and job.poll() is None:
        time.sleep(0.05)
    job.send_signal(signal.SIGSTOP)  # else it may be through before the second one has looked
    second = commands.run(*words, cwd=tmp_path)
    assert second.returncode == 2
    assert "another comparison is at work" in second.stderr
    offspring = psutil.Process(job.pid).children(recursive=True)
    job.send_signal(signal.SIGINT)
    job.send_signal(signal.SIGCONT)
    assert job.wait(60) == 1
    before = {file: file.stat().st_mtime_ns for file in runs.glob("*.json")}
    assert 0 < len(before) < 4
    assert offspring
    assert not [process for process in offspring if process.is_running()]  # no process is left behind
    again = commands.run(*words, cwd=tmp_path)
    assert again.returncode == 0, again.stderr
    assert f"{len(before)} of 4 runs are done" in again.stderr
    assert "runs are done" not in again.stdout
    assert "TwoTowerLogQ" in again.stdout  # the table
    assert {file: file.stat().st_mtime_ns for file in before} == before
    assert len(list(runs.glob("*.json"))) == 4
    assert (tmp_path / "here" / "report.html").is_file()


@pytest.mark.slow
def test_an_interrupted_run_goes_on_from_its_checkpoint(in_tmp: Path, options: dict[str, Any]) -> None:
    plan = make_plan([], {**options, "models": "TwoTowerLogQ", "seeds": 1, "epochs": 4})
    store = Store(in_tmp / "here")
    process = Process(store, plan.runs[0], 1)
    folder = store.file(plan.runs[0]).with_suffix("")
    while not list(folder.glob("saved/*-last.pth")) and process.process.poll() is None:
        time.sleep(0.05)
    process.process.kill()
    process.process.wait()
    process = Process(store, plan.runs[0], 1)
    while (record := process.record()) is None:
        time.sleep(0.1)
    straight = Process(other := Store(in_tmp / "straight"), plan.runs[0], 1)
    while (expected := straight.record()) is None:
        time.sleep(0.1)
    assert record["status"] == "done", record["error"]
    assert record["result"]["test_result"] == expected["result"]["test_result"]
    assert record["per_user"] == expected["per_user"]
    assert other.missing(plan.runs) == []


@pytest.mark.slow
def test_a_killed_process_says_by_what(in_tmp: Path, options: dict[str, Any]) -> None:
    plan = make_plan([], {**options, "models": "TwoTowerLogQ", "seeds": 1, "epochs": 1000})
    process = Process(Store(in_tmp / "here"), plan.runs[0], 1)
    time.sleep(0.5)
    process.process.kill()
    process.process.wait()
    record = process.record()
    assert record is not None
    assert record["status"] == "failed"
    assert record["error"].startswith("killed by signal 9")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"models": "TwoTowerLogQ,Nothing"}, "Nothing: no model named"),
        ({"models": [{"model": "TwoTowerLogQ", "learning_rate": -1}]}, "TwoTowerLogQ: learning_rate=-1"),
        (
            {"models": ["BPR", {"model": "TwoTowerLogQ", "filter_history": False}]},
            "BPR and TwoTowerLogQ would be measured differently: filter_history is True and False",
        ),
        (
            {"models": ["BPR", {"model": "SASRecLogQ", "request_time": "known"}]},
            "BPR and SASRecLogQ would be measured differently: request_time is unknown and known",
        ),
        ({"models": "TwoTowerLogQ", "dataset": "nowhere"}, "nowhere"),
        ({"models": "TwoTowerLogQ", "lerning_rate": 1}, "did you mean learning_rate"),
    ],
)
def test_what_cannot_work_is_said_before_anything_runs(
    in_tmp: Path, options: dict[str, Any], changes: dict[str, Any], message: str
) -> None:
    with pytest.raises((RequestError, WorkError), match=message):
        compare(None, {**options, **changes})
    assert not (in_tmp / "comparisons").exists()
