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
        (
            "TwoTowerCBNS",
            {"negatives.momentum": 0.9, "negatives.warmup_steps": 1, "mlp_sizes": [8], "train_batch_size": 512},
        ),
        ("TwoTowerStreamingLogQ", {"train_batch_size": 512}),
        ("TwoTowerXIR", {"train_batch_size": 512}),
        ("SASRecSCE", {"train_batch_size": 16}),
        ("TwoTowerLearnedSystematic", {"negatives.refresh": 3, "train_batch_size": 512}),
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


# Seed and rate with which the best validation score comes at the start, so that early stopping has something to do.
HASTY: dict[str, Any] = {**SETTINGS, "epochs": 12, "learning_rate": 0.1, "train_batch_size": 512}


def last(result: dict[str, Any]) -> str:
    return str(result["checkpoint"]).replace(".pth", "-last.pth")


def told(result: dict[str, Any]) -> list[Any]:
    """What two runs that are the same have in common."""
    history = [[row["train_loss"], row.get("valid_result")] for row in result["history"]]
    return [history, result["best_epoch"], result["best_valid_result"], result["test_result"]]


@pytest.mark.parametrize("model", ["TwoTowerLogQ", "BPR"])
def test_a_raised_stopping_step_goes_on_where_the_lower_one_ended(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    settings = {**HASTY, "data_path": str(ml100k_cut)}
    short = run(model, "cut", config_dict={**settings, "stopping_step": 1})
    assert len(short["history"]) < 12  # early stopping ended it
    whole = run(model, "cut", config_dict={**settings, "stopping_step": 3})
    assert len(whole["history"]) > len(short["history"])
    resumed = run(model, "cut", config_dict={**settings, "stopping_step": 3}, resume=last(short))
    assert told(resumed) == told(whole)


def test_a_lowered_stopping_step_ends_what_it_would_have_ended(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**HASTY, "data_path": str(ml100k_cut), "epochs": 6, "stopping_step": 9}
    whole = run("TwoTowerLogQ", "cut", config_dict=settings)
    lower = run("TwoTowerLogQ", "cut", config_dict={**settings, "epochs": 12, "stopping_step": 0}, resume=last(whole))
    assert whole["best_epoch"] < 5  # later validations were worse
    assert told(lower) == told(whole)


def test_more_epochs_go_on_and_fewer_than_trained_are_refused(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**HASTY, "data_path": str(ml100k_cut), "epochs": 2, "stopping_step": 9}
    file = last(run("TwoTowerLogQ", "cut", config_dict=settings))
    whole = run("TwoTowerLogQ", "cut", config_dict={**settings, "epochs": 4})
    with pytest.raises(RequestError, match=r"epochs=1: .* has trained 2, which cannot be taken back"):
        run("TwoTowerLogQ", "cut", config_dict={**settings, "epochs": 1}, resume=file)
    assert told(run("TwoTowerLogQ", "cut", config_dict={**settings, "epochs": 4}, resume=file)) == told(whole)


def test_a_budget_that_is_raised_goes_on(in_tmp: Path, ml100k_cut: Path) -> None:
    settings = {**HASTY, "data_path": str(ml100k_cut), "epochs": 3, "stopping_step": 9}
    file = last(run("TwoTowerLogQ", "cut", config_dict={**settings, "max_train_cpu_seconds": 1e-6}))
    assert told(run("TwoTowerLogQ", "cut", config_dict=settings, resume=file)) == told(
        run("TwoTowerLogQ", "cut", config_dict=settings)
    )


@pytest.mark.parametrize(
    ("key", "value", "says"),
    [
        ("checkpoint_dir", "elsewhere", "goes on writing beside"),
        ("eval_step", 2, "was trained with 1"),
        ("valid_metric", "NDCG@10", "was trained with 'MRR@10'"),
        ("warmup_steps", 9, "was trained with 0"),
        ("negatives.count", 9, "was trained with"),
        ("train_batch_size", 256, "was trained with 512"),
        ("weight_decay", 0.1, r"was trained with 0\.0"),
        ("clip_grad_norm", {"max_norm": 1.0}, "was trained with None"),
    ],
)
def test_what_would_be_another_run_is_refused(
    in_tmp: Path, finished: tuple[str, dict[str, Any]], key: str, value: Any, says: str
) -> None:
    file, settings = finished
    with pytest.raises(RequestError, match=rf"{key.partition('.')[0]}=.*{says}"):
        run("TwoTowerLogQ", "cut", config_dict={**settings, key: value}, resume=file)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, ml100k_cut: Path) -> tuple[str, dict[str, Any]]:
    """The last checkpoint of a run of one epoch, and its settings."""
    folder = tmp_path_factory.mktemp("finished")
    settings = {**HASTY, "epochs": 1, "data_path": str(ml100k_cut)}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return str(folder / last(run("TwoTowerLogQ", "cut", config_dict=settings))), settings
