"""RecBole's own models run through the same command, one epoch each on a small cut of ml-100k."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from recbole_logq import evaluate, run

CONTEXT = {
    "load_col": {
        "inter": ["user_id", "item_id", "rating", "timestamp"],
        "user": ["user_id", "age", "gender", "occupation"],
        "item": ["item_id", "class"],
    },
    "threshold": {"rating": 4},
    "normalize_all": True,
    "eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user", "mode": "labeled"},
    "metrics": ["AUC", "LogLoss"],
    "valid_metric": "AUC",
}
WITH_FEATURES = {
    "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]},
    "selected_features": ["class"],
}
CE: dict[str, Any] = {"train_neg_sample_args": None}
MODELS: list[tuple[str, dict[str, Any]]] = [
    *((name, {}) for name in ("Pop", "ItemKNN", "BPR", "NeuMF", "LightGCN", "EASE", "SimpleX")),
    *((name, {}) for name in ("NGCF", "SpectralCF", "GCMC")),  # the other users of dok_matrix._update
    ("MultiVAE", CE),
    ("DSSM", CONTEXT),
    ("DeepFM", CONTEXT),
    *((name, CE) for name in ("GRU4Rec", "SASRec", "BERT4Rec", "STAMP", "NARM", "LightSANs", "CORE")),
    ("SASRec", {"loss_type": "BPR"}),
    ("FPMC", {}),
    ("SASRecF", {**CE, **WITH_FEATURES}),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "settings"), MODELS, ids=lambda value: value if isinstance(value, str) else "")
def test_one_epoch(in_tmp: Path, ml100k_cut: Path, model: str, settings: dict[str, Any]) -> None:
    given = {
        "data_path": str(ml100k_cut),
        "epochs": 1,
        "show_progress": False,
        "state": "WARNING",
        "MAX_ITEM_LIST_LENGTH": 8,
        "pretrain_epochs": 1,
        **settings,
    }
    result = run(model, "cut", config_dict=given)
    assert result["test_result"]
    assert all(0 <= value < 100 for value in result["test_result"].values())
    # What was stored is the whole model: a fresh one filled from it gives the same result.
    again = evaluate(result["checkpoint"])
    assert again["test_result"] == result["test_result"]


@pytest.mark.parametrize("model", ["Pop", "EASE"])
def test_a_model_of_one_epoch_is_validated_whatever_eval_step_is(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    quiet = {"data_path": str(ml100k_cut), "show_progress": False, "state": "WARNING"}
    result = run(model, "cut", config_dict={**quiet, "epochs": 10, "eval_step": 3, "stopping_step": 2})
    assert result["best_epoch"] == 0
    usual = run(model, "cut", config_dict={**quiet, "epochs": 1, "eval_step": 1})
    assert result["best_valid_result"] == usual["best_valid_result"]
    assert result["test_result"] == usual["test_result"]
