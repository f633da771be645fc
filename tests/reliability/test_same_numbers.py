"""What is no part of the training changes nothing of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.models.resolve import own_models
from recbole_logq.training import checkpoint, ranking

SETTINGS: dict[str, Any] = {
    "epochs": 2,
    "train_batch_size": 64,
    "MAX_ITEM_LIST_LENGTH": 8,
    "embedding_size": 16,
    "state": "ERROR",
    "show_progress": False,
}
# The progress bar, the logger, how often and in how many blocks is evaluated.
WATCHED_OTHERWISE = {"show_progress": True, "state": "DEBUG", "eval_step": 2, "eval_batch_size": 130}


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@pytest.mark.slow
@pytest.mark.parametrize("model", [*own_models(), "BPR", "LightGCN"])
def test_how_a_run_is_watched_changes_nothing(
    in_tmp: Path, tiny: str, monkeypatch: pytest.MonkeyPatch, model: str
) -> None:
    (in_tmp / "data" / "tiny").mkdir(parents=True)
    (in_tmp / "data" / "tiny" / "tiny.inter").write_text(tiny)
    settings = {**SETTINGS, "data_path": "data"}
    if model.startswith("SASRec"):
        settings["train_batch_size"] = 12
    last: list[str] = []
    results = []
    for watched in ({}, WATCHED_OTHERWISE):
        if watched:
            monkeypatch.setattr(ranking, "ROWS", 7)
        results.append(
            run(model, "tiny", config_dict={**settings, **watched}, callback=lambda t, _: last.append(t.last_file))
        )
    assert [row["train_loss"] for row in results[0]["history"]] == [row["train_loss"] for row in results[1]["history"]]
    assert results[0]["history"][1]["valid_result"] == results[1]["history"][1]["valid_result"]
    one, other = (checkpoint.load(file) for file in last)
    for part in ("state_dict", "optimizer", "random", "loader"):
        assert same(one[part], other[part]), part
