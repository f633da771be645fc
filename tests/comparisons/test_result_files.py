"""Comparing refuses what was measured differently, and says what to set."""

from __future__ import annotations

import json
import re
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.comparisons.result_files import compare_files
from recbole_logq.data.dataset.protocol import require_common
from recbole_logq.errors import RequestError

LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
SETTINGS: dict[str, Any] = {"epochs": 1, "show_progress": False, "state": "WARNING", "MAX_ITEM_LIST_LENGTH": 10}


def test_a_general_and_a_sequential_model_need_one_protocol(
    in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    given = {**SETTINGS, "data_path": str(ml100k_cut)}
    files = {}
    for name, model, settings in (
        ("bpr", "BPR", {}),
        ("bpr-last", "BPR", {"eval_args": LAST}),
        ("bpr-common", "BPR", {"eval_args": LAST, "filter_history": True}),
        ("sasrec", "SASRecCorrectedLogQ", {}),
        ("sasrec-common", "SASRecCorrectedLogQ", {"filter_history": True}),
        ("other", "SASRecCorrectedLogQ", {"filter_history": True, "item_inter_num_interval": "[2,inf)"}),
    ):
        result = run(model, "cut", config_dict={**given, **settings}, saved=False)
        files[name] = in_tmp / f"{name}.json"
        files[name].write_text(json.dumps(result))
    with pytest.raises(RequestError, match=re.escape("--eval_args.order=TO")):
        compare_files([files["bpr"], files["sasrec"]])
    with pytest.raises(RequestError, match=re.escape("run both with --filter_history=true, or =false")):
        compare_files([files["bpr-last"], files["sasrec"]])
    with pytest.raises(RequestError, match="different numbers of items"):
        compare_files([files["sasrec-common"], files["other"]])
    capsys.readouterr()
    assert main(["compare", f"--results={files['bpr-common']} {files['sasrec-common']}"]) == 0
    printed = capsys.readouterr().out
    result = json.loads(files["bpr-common"].read_text())
    assert "BPR, seed 2020" in printed
    assert "SASRecCorrectedLogQ, seed 2020" in printed
    assert re.search(rf"│ ndcg@10 +│ +{result['test_result']['ndcg@10']:.4f} │", printed)
    assert result["fingerprint"]["test"] in printed
    assert max(map(len, printed.splitlines()[:-4])) <= 80


RESULT: dict[str, Any] = {
    "model": "BPR",
    "dataset": "d",
    "seed": 1,
    "fingerprint": {"train": "a", "valid": "b", "test": "c"},
    "protocol": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "random", "ranking": "full", "filter_history": True},
}


def test_each_seed_of_a_random_split_has_its_own_test_set() -> None:
    other = deepcopy(RESULT)
    other["fingerprint"]["test"] = "x"
    with pytest.raises(RequestError, match="different test sets"):
        require_common([RESULT, other])
    require_common([RESULT, {**other, "seed": 2}])
    third = {**RESULT, "model": "LightGCN", "seed": 2}  # its seed is not the first one's
    with pytest.raises(RequestError, match=r"BPR \(seed 2\) and LightGCN \(seed 2\) have different test sets"):
        require_common([RESULT, {**other, "seed": 2}, third])


def test_a_model_tested_on_what_it_may_have_trained_on_is_refused() -> None:
    with pytest.raises(RequestError, match="it may have seen the answers"):
        require_common([RESULT, {**RESULT, "trained_on": "other"}])
    require_common([RESULT, {**RESULT, "trained_on": "a"}])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"dataset": "e"}, "different datasets"),
        ({"protocol": {**RESULT["protocol"], "ranking": "uni100"}}, "the same --eval_args.mode"),
        ({"protocol": {**RESULT["protocol"], "items": 7}}, "different numbers of items"),
        ({"protocol": {**RESULT["protocol"], "averaged_over": "targets"}}, "several targets a user"),
        (
            {"protocol": {**RESULT["protocol"], "split": "ready-made", "files": ["d.test.inter"]}},
            "run both with the same --benchmark_filename, or both without it",
        ),
        ({"protocol": {**RESULT["protocol"], "request_time": "known"}}, "request_time is unknown and known"),
    ],
    ids=str,
)
def test_differences_are_named(change: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        require_common([RESULT, {**RESULT, **change}])


def test_a_record_from_before_there_was_a_time_of_the_request_has_none() -> None:
    require_common([RESULT, {**RESULT, "protocol": {**RESULT["protocol"], "request_time": "unknown"}}])


def test_files_that_are_no_results(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text("{}")
    (tmp_path / "b.json").write_text("{")
    (tmp_path / "c.json").write_text("5")
    (tmp_path / "d.json").write_text(json.dumps({**RESULT, "test_result": 3}))
    changes = {"e": {"test_result": {"mrr@10": "0.3"}}, "f": {"test_result": {"mrr@10": float("nan")}}}
    changes |= {"g": {"fingerprint": {"valid": "b", "test": "c"}}, "h": {"seed": "1"}, "i": {"trained_on": 5}}
    for name, change in changes.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({**RESULT, "test_result": {}, **change}))
    cases = [("a.json", "has no"), ("b.json", "cannot read"), ("c.json", "is no result"), ("d.json", "is no mapping")]
    cases += [("e.json", r"test_result\.mrr@10"), ("f.json", r"test_result\.mrr@10"), ("g.json", r"fingerprint\.train")]
    cases += [("h.json", "seed: "), ("i.json", "trained_on: ")]
    for files, message in (*(([file], message) for file, message in cases), ([], "two results or more")):
        with pytest.raises(RequestError, match=message):
            compare_files([tmp_path / file for file in files])
