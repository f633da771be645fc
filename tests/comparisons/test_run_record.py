"""What a record must be before anything is concluded from it."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import main
from recbole_logq.comparisons.comparison import compare
from recbole_logq.comparisons.run_record import read_record, write_record
from recbole_logq.comparisons.runs import Store, failed
from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import make_plan

PLAN = make_plan([], {"models": "BPR", "dataset": "tiny", "seeds": 1})
RUN = PLAN.runs[0]
RECORD: dict[str, Any] = {
    **{"name": "BPR", "model": "BPR", "dataset": "tiny", "seed": 1, "command": RUN.command},
    **{"status": "done", "error": None, "measures": {"coverage@10": 0.5, "recall@10_by_decile": [0.1, None]}},
    "result": {
        **{"model": "BPR", "dataset": "tiny", "seed": 1, "test_result": {"ndcg@10": 1}, "protocol": {"order": "exact"}},
        **{"fingerprint": {"train": "a", "valid": "b", "test": "c"}, "versions": {"torch": "2"}},
        **{"seconds": {"train": 1.5}, "train_cpu_seconds": 1.0, "positives_per_second": 9.0, "peak_memory_mb": 7.0},
        "history": [{"epoch": 0, "train_seconds": 1.0, "train_cpu_seconds": 1.0, "train_loss": 2.0}],
    },
    "users": ["a", "12", 'x\n"y'],
    "per_user": {"ndcg@10": [0.5, 0.0, 1], "recall@10": [1.0, 0.0, 1.0]},
}


@pytest.mark.parametrize("record", [RECORD, failed(RUN, "why"), {**RECORD, "users": [], "per_user": {}}], ids=range(3))
def test_what_is_written_is_read(tmp_path: Path, record: dict[str, Any]) -> None:
    write_record(tmp_path / "a.json", record)
    text = (tmp_path / "a.json").read_text(encoding="utf-8")
    assert json.loads(text) == read_record(tmp_path / "a.json", RUN) == record
    assert sum("users" in line or "@10" in line for line in text.splitlines()) < 10  # not a line each


def test_none_and_no_json_are_missing(tmp_path: Path) -> None:
    assert read_record(tmp_path / "a.json", RUN) is None
    (tmp_path / "a.json").write_text('{"status": "do')
    assert read_record(tmp_path / "a.json", RUN) is None


def without_users(record: dict[str, Any]) -> None:
    del record["users"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without_users, "earlier version, which kept values of users without the users"),
        (lambda one: one.update(users=["a", "12"]), r"3 values of ndcg@10 for 2 users"),
        (lambda one: one.update(users=["a", "12", "a"]), "user 'a' stands there twice"),
        (lambda one: one.update(users=["a", 12, "b"]), r"users\.1: "),
        (lambda one: one.update(users="abc"), "users: "),
        (lambda one: one["per_user"].update({"ndcg@10": [0.5, None, 1.0]}), r"per_user\.ndcg@10\.1: "),
        (lambda one: one["per_user"].update({"ndcg@10": [0.5, "1", 1.0]}), r"per_user\.ndcg@10\.1: "),
        (lambda one: one["per_user"].update({"ndcg@10": [0.5, float("nan"), 1.0]}), r"per_user\.ndcg@10\.1: .*finite"),
        (lambda one: one["per_user"].update({"ndcg@10": [0.5, True, 1.0]}), r"per_user\.ndcg@10\.1: "),
        (lambda one: one.update(per_user=[1]), "per_user: "),
        (lambda one: one["measures"].update({"coverage@10": "much"}), r"measures\.coverage@10"),
        (lambda one: one.update(result=None), "it is done and has no result"),
        (lambda one: one["result"].pop("train_cpu_seconds"), r"result\.train_cpu_seconds: field required"),
        (lambda one: one["result"].update(parameters=[1]), r"result\.parameters"),
        (lambda one: one["result"]["history"][0].pop("train_seconds"), r"result\.history\.0\.train_seconds"),
        (lambda one: one.update(status="perhaps"), "status: "),
        (lambda one: one.update(model="Pop"), r"the record of BPR \(Pop\) on tiny, seed 1, and should be that of BPR"),
        (lambda one: one.update(seed=2), "seed 2, and should be that of .* seed 1"),
        (lambda one: one.update(seed=1.0), "seed: "),
    ],
)
def test_what_cannot_be_one_is_refused(tmp_path: Path, change: Callable[[Any], Any], message: str) -> None:
    record = deepcopy(RECORD)
    change(record)
    (tmp_path / "a.json").write_text(json.dumps(record))
    with pytest.raises(RequestError, match=message) as error:
        read_record(tmp_path / "a.json", RUN)
    assert "a.json" in str(error.value)
    assert "\n" not in str(error.value)


def test_the_whole_of_another_thing_is_refused(tmp_path: Path) -> None:
    for text in ("5", "[]", '"a"', "{}"):
        (tmp_path / "a.json").write_text(text)
        with pytest.raises(RequestError, match="is no record of a run"):
            read_record(tmp_path / "a.json", RUN)


def test_records_of_before_are_refused_before_anything_runs(
    in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["--models=Pop,BPR", "--dataset=cut", "--seeds=1", f"--data_path={ml100k_cut}", "--folder=here"]
    given = {"models": "Pop,BPR", "dataset": "cut", "seeds": 1, "data_path": str(ml100k_cut)}
    run = make_plan([], given).runs[0]
    store = Store("here")
    store.file(run).parent.mkdir(parents=True)
    record = {**deepcopy(RECORD), **{"name": "Pop", "model": "Pop", "dataset": "cut"}}
    without_users(record)
    store.file(run).write_text(json.dumps(record))
    assert main(["compare", *words]) == 2
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "move all such records away, and the same command runs them again" in said
    assert len(list((in_tmp / "here" / "runs").iterdir())) == 1
    with pytest.raises(RequestError, match="only training runs in several processes"):
        compare(None, {**given, "models": "TwoTowerLogQ", "nproc": 2}, folder="there")
