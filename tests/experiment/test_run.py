"""A run's result, and evaluating its checkpoint again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import evaluate, run
from recbole_logq.errors import RequestError

SETTINGS: dict[str, Any] = {"epochs": 2, "show_progress": False, "state": "WARNING", "MAX_ITEM_LIST_LENGTH": 10}


@pytest.mark.parametrize("model", ["SASRecCorrectedLogQ", "TwoTowerCorrectedLogQ", "BPR"])
def test_result_checkpoint_and_evaluation_agree(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    result = run(model, "cut", config_dict={**SETTINGS, "data_path": str(ml100k_cut), "metric_decimal_place": 6})
    json.dumps(result)
    assert {"best_valid_score", "valid_score_bigger", "best_valid_result", "test_result"} <= set(result)
    assert set(result["seconds"]) == {"data", "train", "test"}
    assert set(result["fingerprint"]) == {"train", "valid", "test"}
    assert result["positives_per_second"] > 0
    assert result["device"]["name"] == (torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu")
    assert len(result["history"]) == 2
    stored = torch.load(result["checkpoint"], weights_only=True)
    assert stored["test_result"] == result["test_result"]

    torch.rand(7)  # whatever drew numbers before, the split is the checkpoint's
    again = evaluate(result["checkpoint"], config_dict={"show_progress": False})
    assert again["same_protocol"]
    assert again["test_result"] == result["test_result"] == again["stored_test_result"]
    assert again["fingerprint"] == result["fingerprint"]

    other = evaluate(result["checkpoint"], config_dict={"topk": [5, 10, 50], "metrics": ["Recall", "NDCG"]})
    assert not other["same_protocol"]
    assert other["test_result"]["recall@10"] == result["test_result"]["recall@10"]
    assert other["test_result"]["recall@50"] >= other["test_result"]["recall@5"]


def test_the_same_seed_gives_the_same_numbers(in_tmp: Path, ml100k_cut: Path) -> None:
    def once(seed: int, **more: Any) -> dict[str, Any]:
        settings = {**SETTINGS, "data_path": str(ml100k_cut), "seed": seed, "eval_args.order": "TO", **more}
        return run("TwoTowerCorrectedLogQ", "cut", config_dict=settings, saved=False)

    first, second, other = once(3), once(3, show_progress=True, eval_batch_size=100), once(4)
    assert first["test_result"] == second["test_result"]
    assert [row["train_loss"] for row in first["history"]] == [row["train_loss"] for row in second["history"]]
    assert first["history"][0]["train_loss"] != other["history"][0]["train_loss"]


@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "BPR"])
def test_metrics_about_items_and_popularity(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    metrics = ["NDCG", "ItemCoverage", "AveragePopularity", "GiniIndex", "ShannonEntropy", "TailPercentage", "GAUC"]
    settings = {**SETTINGS, "epochs": 1, "metrics": metrics, "valid_metric": "NDCG@10", "data_path": str(ml100k_cut)}
    result = run(model, "cut", config_dict=settings, saved=False)["test_result"]
    assert {"itemcoverage@10", "averagepopularity@10", "giniindex@10", "tailpercentage@10", "gauc"} <= set(result)


def test_the_sample_weight_is_recorded(in_tmp: Path, ml100k_cut: Path) -> None:
    result = run("SASRecCorrectedLogQ", "cut", config_dict={**SETTINGS, "data_path": str(ml100k_cut)})
    weights = [row["sample_weight"] for row in result["history"]]
    assert 0.9 < weights[0]["mean"] <= 1.0  # an untrained model errs nearly always
    deciles = [weights[0][f"d{10 * step}"] for step in range(1, 10)]
    assert deciles == sorted(deciles)
    events = list((in_tmp / "log_tensorboard").rglob("events.*"))
    assert events
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    tags: set[str] = set()
    for event in events:
        accumulator = EventAccumulator(str(event.parent))
        accumulator.Reload()
        tags |= set(accumulator.Tags()["scalars"])
    assert {"Loss/Train", "SampleWeight/mean", "SampleWeight/d10", "SampleWeight/d90"} <= tags


def test_evaluate_refuses_what_the_weights_fix(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**SETTINGS, "epochs": 1, "data_path": str(ml100k_cut)}
    file = run("TwoTowerLogQ", "cut", config_dict=settings)["checkpoint"]
    for key, value in {"embedding_size": 8, "temperature": 0.7, "similarity": "dot"}.items():
        with pytest.raises(RequestError, match=f"{key}="):
            evaluate(file, config_dict={key: value})
    with pytest.raises(RequestError, match="unknown setting topkk"):
        evaluate(file, config_dict={"topkk": 8})


def test_evaluating_under_another_split(in_tmp: Path, ml100k_cut: Path) -> None:
    temporal = {"split": {"GTS": [0.7, 0.1, 0.2]}, "targets": "last", "unseen": "keep"}
    settings = {**SETTINGS, "epochs": 1, "data_path": str(ml100k_cut), "eval_args": temporal}
    result = run("TwoTowerLogQ", "cut", config_dict=settings)
    other = {"eval_args.split": {"LS": "valid_and_test"}}
    with pytest.raises(RequestError, match="set --allow_other_training=true"):
        evaluate(result["checkpoint"], config_dict=other)
    again = evaluate(result["checkpoint"], config_dict=other, allow_other_training=True)
    assert again["trained_on"] == result["fingerprint"]["train"] != again["fingerprint"]["train"]
    with pytest.raises(RequestError, match="eval_args='x'"):
        evaluate(result["checkpoint"], config_dict={"eval_args": "x"})


def test_several_runs_log_into_files_of_their_own(in_tmp: Path, ml100k_cut: Path) -> None:
    for _ in range(2):
        run("Pop", "cut", config_dict={**SETTINGS, "state": "INFO", "epochs": 1, "data_path": str(ml100k_cut)})
    logs = list((in_tmp / "log" / "Pop").iterdir())
    assert len(logs) == 2
    for log in logs:
        assert log.read_text(encoding="utf-8").count("split fingerprint") == 1


@pytest.mark.slow
@pytest.mark.parametrize("model", ["SASRecCorrectedLogQ", "TwoTowerCorrectedLogQ"])
def test_recboles_sampled_evaluation_works(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut), "eval_args.mode": "uni100", "epochs": 1}
    full = run(model, "cut", config_dict={**settings, "eval_args.mode": "full"})["test_result"]
    result = run(model, "cut", config_dict=settings)
    sampled = result["test_result"]
    again = evaluate(result["checkpoint"])
    assert again["same_protocol"]
    assert again["test_result"] == sampled  # the same negatives are drawn
    assert sampled["hit@10"] > full["hit@10"]  # a tenth of 101 candidates against a hundredth of the catalogue


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"topk": [5000], "valid_metric": "MRR@5000"}, r"topk=\[5000\]: cut has only \d+ items"),
        ({"user_inter_num_interval": "[900,inf)"}, "cut"),
        ({"USER_ID_FIELD": "foo"}, "compare USER_ID_FIELD"),
        ({"load_col": {"inter": ["user_id", "item_id", "nope"]}}, "has no column 'nope'"),
        ({"encoding": "foo"}, "no such encoding"),
        ({"val_interval": {"rating": "[7,inf)"}}, "cut"),
    ],
    ids=str,
)
def test_data_that_does_not_fit_the_request(
    in_tmp: Path, ml100k_cut: Path, settings: dict[str, Any], message: str
) -> None:
    given = {**SETTINGS, "data_path": str(ml100k_cut), "load_col": {"inter": ["user_id", "item_id", "rating"]}}
    with pytest.raises(RequestError, match=message):
        run("TwoTowerLogQ", "cut", config_dict={**given, **settings})
