"""A dataset that is prepared once: who may use it, and that nobody can tell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_logq.config import Config
from recbole_logq.experiment.beginning import Phases, begin
from recbole_logq.sweeps.shared import prepare
from recbole_logq.sweeps.sweep_plan import merged

cloudpickle = pytest.importorskip("ray").cloudpickle


@pytest.fixture
def settings(ml100k_cut: Path, in_tmp: Path) -> dict[str, Any]:
    quiet = {"data_path": str(ml100k_cut), "state": "WARNING", "epochs": 2, "metric_decimal_place": 10}
    order = {"eval_args": {"order": "RO", "split": {"RS": [0.8, 0.1, 0.1]}, "group_by": "user", "mode": "full"}}
    return {
        **quiet,
        **order,
        "topk": [5],
        "valid_metric": "NDCG@5",
        "train_batch_size": 256,
        "MAX_ITEM_LIST_LENGTH": 10,
    }


@pytest.mark.parametrize("model", ["TwoTowerLogQ", "SASRecLogQ", "BPR", "SASRec", "LightGCN"])
def test_training_on_it_is_the_same_to_the_last_digit(model: str, settings: dict[str, Any]) -> None:
    if "SASRec" in model:
        settings |= {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}}
        settings |= {"train_neg_sample_args": None, "loss_type": "CE"} if model == "SASRec" else {}
    prepared = cloudpickle.loads(cloudpickle.dumps(prepare(Config(model, "cut", None, settings))))
    histories = []
    for given in (None, prepared):
        config = Config(model, "cut", None, {**settings, "learning_rate": 0.02})
        assert given is None or given.fits(config)
        trainer, loaders, _ = begin(config, Phases(), given)
        score, _ = trainer.fit(loaders[0], loaders[1], saved=False)
        histories.append([(one["train_loss"], one["valid_score"]) for one in trainer.history])
        assert trainer.fingerprint == prepared.fingerprint
        assert score > 0
    assert histories[0] == histories[1]


@pytest.mark.parametrize(
    ("changes", "fits"),
    [
        ({"learning_rate": 0.5, "embedding_size": 8, "epochs": 9, "negatives.count": 3}, True),
        ({"seed": 3}, False),  # of the random split
        ({"item_inter_num_interval": "[3,inf)"}, False),
        ({"eval_args.order": "TO"}, False),
    ],
    ids=str,
)
def test_it_fits_where_preparation_would_read_the_same(
    changes: dict[str, Any], fits: bool, settings: dict[str, Any]
) -> None:
    prepared = prepare(Config("TwoTowerLogQ", "cut", None, settings))
    assert prepared.fits(Config("TwoTowerLogQ", "cut", None, merged(settings, changes))) is fits


def test_the_length_of_sequences_counts_for_sequential_models_alone(settings: dict[str, Any]) -> None:
    order = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}}
    for model, fits in (("SASRecLogQ", False), ("TwoTowerLogQ", True)):
        prepared = prepare(Config(model, "cut", None, {**settings, **order}))
        assert prepared.fits(Config(model, "cut", None, {**settings, **order, "MAX_ITEM_LIST_LENGTH": 20})) is fits


def test_it_holds_no_configuration(settings: dict[str, Any]) -> None:
    prepared = prepare(Config("TwoTowerLogQ", "cut", None, settings))
    assert prepared.data.config is None
    assert b"_Watched" not in cloudpickle.dumps(prepared)
