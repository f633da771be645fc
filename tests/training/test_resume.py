"""An interrupted and resumed run ends exactly like one that was never interrupted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.training import checkpoint

SETTINGS: dict[str, Any] = {
    "epochs": 4,
    "show_progress": False,
    "state": "WARNING",
    "train_batch_size": 64,
    "MAX_ITEM_LIST_LENGTH": 10,
}


LINEAR = {"lr_schedule": "linear"}


class Killed(Exception):
    pass


def interrupted(model: str, settings: dict[str, Any], after: int) -> str:
    """Run until ``after`` epochs are validated and saved; returns the last checkpoint."""
    files: list[str] = []

    def stop(trainer: Any, _: Any) -> None:
        files.append(trainer.last_file)
        train_epoch = trainer._train_epoch

        def guarded(data: Any, epoch: int, **kwargs: Any) -> Any:
            if epoch == after:
                raise Killed
            return train_epoch(data, epoch, **kwargs)

        trainer._train_epoch = guarded

    with pytest.raises(Killed):
        run(model, "cut", config_dict=settings, callback=stop)
    return files[0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "extra"),
    [
        ("SASRecCorrectedLogQ", {"lr_schedule": "cosine", "warmup_steps": 3}),
        ("TwoTowerUniform", {"dropout": 0.2, "train_batch_size": 512}),
        ("SASRecCBNSCorrectedLogQ", {"negatives.warmup_steps": 1, "train_batch_size": 16}),
        ("TwoTowerStreamingLogQ", {"train_batch_size": 512}),
        ("TwoTowerXIR", {"train_batch_size": 512}),
        ("SASRecSCE", {"train_batch_size": 16}),
        ("SASRecMNSCorrectedLogQ", {"sparse_embeddings": True, "train_batch_size": 16}),
        ("TwoTowerBIR", {"temperature_mode": "learned", "weight_decay": 0.01, "train_batch_size": 512}),
        (
            "SASRecCorrectedLogQ",
            {"temperature_mode": "scheduled", "temperature_end": 0.5, "temperature_steps": 20, "mask": "history"},
        ),
        (
            "SASRecCorrectedLogQ",
            {"negatives.source": "in_batch_unique", "MAX_ITEM_LIST_LENGTH": 3, "lr_schedule": "linear"},
        ),
        (
            "SASRecMNSCorrectedLogQ",
            {"block": "ligr", "feed_forward": "swiglu", "positions": "rotary", "input_norm": False},
        ),
        ("BPR", {}),
    ],
)
@pytest.mark.parametrize("after", [1, 2])
def test_resuming_is_exact(in_tmp: Path, ml100k_cut: Path, model: str, extra: dict[str, Any], after: int) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut), **extra}
    whole = run(model, "cut", config_dict=settings)
    resumed = run(model, "cut", config_dict=settings, resume=interrupted(model, settings, after))
    for key in ("best_valid_score", "best_valid_result", "test_result", "fingerprint"):
        assert resumed[key] == whole[key], key
    assert [row["train_loss"] for row in resumed["history"]] == [row["train_loss"] for row in whole["history"]]
    for suffix in ("", "-last"):
        first, second = (
            checkpoint.load(result["checkpoint"].replace(".pth", f"{suffix}.pth"))["state_dict"]
            for result in (whole, resumed)
        )
        for name, value in first.items():
            if isinstance(value, torch.Tensor):
                assert torch.equal(value, second[name]), name


def test_a_checkpoint_of_something_else_is_refused(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**SETTINGS, "epochs": 1, "data_path": str(ml100k_cut)}
    file = run("TwoTowerLogQ", "cut", config_dict=settings)["checkpoint"]
    with pytest.raises(RequestError, match="is of model TwoTowerLogQ, not TwoTowerInBatch"):
        run("TwoTowerInBatch", "cut", config_dict=settings, resume=file)
    with pytest.raises(RequestError, match="seed=5"):
        run("TwoTowerLogQ", "cut", config_dict={**settings, "seed": 5}, resume=file)
    with pytest.raises(RequestError, match=r"embedding_size=8: .* was trained with 64"):
        run("TwoTowerLogQ", "cut", config_dict={**settings, "embedding_size": 8}, resume=file)
    with pytest.raises(RequestError, match=r"learning_rate=0\.5"):
        run("TwoTowerLogQ", "cut", config_dict={**settings, "learning_rate": 0.5}, resume=file)


def test_resuming_after_the_end_changes_nothing(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**SETTINGS, "epochs": 50, "stopping_step": 1, "learning_rate": 0.1, "data_path": str(ml100k_cut)}
    whole = run("TwoTowerLogQ", "cut", config_dict=settings)
    assert len(whole["history"]) < 50  # early stopping ended it
    again = run("TwoTowerLogQ", "cut", config_dict=settings, resume=whole["checkpoint"].replace(".pth", "-last.pth"))
    assert again["history"] == whole["history"]
    assert again["test_result"] == whole["test_result"]


def test_without_validation_the_latest_epoch_is_kept(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut)}
    for more in ({"eval_step": 0}, {"eval_args.split": {"LS": "test_only"}, "eval_args.order": "TO"}):
        result = run("TwoTowerLogQ", "cut", config_dict={**settings, **more})
        assert result["best_valid_score"] is None
        assert result["test_result"]
        assert torch.load(result["checkpoint"], weights_only=True)["epoch"] == 3


def test_a_loss_that_is_no_number_stops_with_the_way_out(in_tmp: Path, ml100k_cut: Path) -> None:
    def poison(trainer: Any, _: Any) -> None:
        trainer.model.item_tower.embedding.weight.data.fill_(float("nan"))

    settings = {**SETTINGS, "data_path": str(ml100k_cut)}
    with pytest.raises(WorkError, match="lower learning_rate"):
        run("TwoTowerLogQ", "cut", config_dict=settings, callback=poison)


def test_the_budget_ends_training_with_a_validation(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut), "max_train_cpu_seconds": 1e-6, "eval_step": 3}
    result = run("TwoTowerLogQ", "cut", config_dict=settings)
    assert len(result["history"]) == 1
    assert result["best_valid_result"]
