"""Training that goes wrong says where, and keeps what was good."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.errors import WorkError
from recbole_logq.training import checkpoint
from recbole_logq.training.divergence import EVERY, FirstBadLoss, temperature_warning

SETTINGS: dict[str, Any] = {"epochs": 3, "show_progress": False, "state": "WARNING", "train_batch_size": 256}


def poison_at(call: int, trainer: Any) -> None:
    """A NaN in the items' table before the given call of the loss, of the whole run."""
    loss, calls = trainer.model.calculate_loss, 0

    def poisoned(batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == call:
            next(trainer.model.parameters()).data[3:] = float("nan")
        return loss(batch)

    trainer.model.calculate_loss = poisoned


@pytest.mark.parametrize(
    ("model", "recipe"),
    [
        ("TwoTowerLogQ", r"learning_rate=0\.001, loss=logq, negatives=.*in_batch.*, temperature=0\.2"),
        ("BPR", r"learning_rate=0\.001"),
    ],
)
def test_epoch_step_recipe_and_parameters_are_named(in_tmp: Path, ml100k_cut: Path, model: str, recipe: str) -> None:
    steps: list[int] = []

    def poison(trainer: Any, loaders: Any) -> None:
        steps.append(len(loaders[0]))
        poison_at(steps[0] + 3, trainer)  # the third step of the second epoch

    with pytest.raises(WorkError) as caught:
        run(model, "cut", config_dict={**SETTINGS, "data_path": str(ml100k_cut)}, callback=poison)
    found = str(caught.value)
    assert steps[0] >= 3
    assert found.startswith(f"epoch 1, step 3: the training loss of {model} is no finite number")
    assert re.search(recipe, found)
    assert "no finite numbers in user_" in found
    last = Path(found.rpartition(": ")[2])
    assert checkpoint.load(last)["epoch"] == 0
    tables = [value for name, value in checkpoint.load(last)["state_dict"].items() if name.endswith(".weight")]
    assert len(tables) == 2
    assert all(torch.isfinite(table).all() for table in tables)


@pytest.mark.parametrize("diagnostics", [True, False])
def test_the_last_step_is_looked_at_too(in_tmp: Path, ml100k_cut: Path, diagnostics: bool) -> None:
    def poison(trainer: Any, loaders: Any) -> None:
        step, calls = trainer._train_batch, 0

        def poisoned(*args: Any) -> Any:
            nonlocal calls
            calls += 1
            loss = step(*args)
            if calls == len(loaders[0]):
                trainer.model.item_tower.embedding.weight.data.fill_(float("inf"))
            return loss

        trainer._train_batch = poisoned

    settings = {**SETTINGS, "data_path": str(ml100k_cut), "diagnostics": diagnostics}
    with pytest.raises(WorkError, match=r"epoch 0: .* no finite numbers in item_tower\.embedding\.weight"):
        run("TwoTowerLogQ", "cut", config_dict=settings, callback=poison)
    assert not list(Path("saved").glob("*.pth"))  # nothing that is no number is ever kept


def test_the_mean_loss_takes_in_every_step(in_tmp: Path, ml100k_cut: Path) -> None:
    """In single precision, 2^24 + 1 is 2^24: after millions of steps no loss would count any more."""
    rows: list[int] = []

    def large_first(trainer: Any, loaders: Any) -> None:
        statistics = trainer.model.statistics
        add = statistics.add_losses

        def given(values: torch.Tensor, counted: torch.Tensor, weights: torch.Tensor | None = None) -> None:
            losses = torch.full_like(values, 1.0)
            if not rows:
                losses = torch.where(torch.arange(len(values)) == counted.int().argmax(), 2.0**24, 0.0)
            rows.append(int(counted.sum()))
            add(losses, counted, weights)

        statistics.add_losses = given

    settings = {**SETTINGS, "data_path": str(ml100k_cut), "epochs": 1}
    result = run("TwoTowerLogQ", "cut", config_dict=settings, saved=False, callback=large_first)
    assert len(rows) > 2
    assert result["history"][0]["train_loss"] == (2**24 + sum(rows[1:])) / sum(rows)


def test_an_accelerator_is_asked_now_and_then() -> None:
    bad = FirstBadLoss(torch.device("cpu"))
    bad._every = EVERY  # as on an accelerator
    looks = [bad.add(step, torch.tensor(float("inf") if step in (7, 9) else 1.0)) for step in range(1, 2 * EVERY + 1)]
    assert [step for step, look in enumerate(looks, 1) if look] == [EVERY, 2 * EVERY]
    assert bad.step() == 7


def test_a_temperature_that_runs_away_is_said(in_tmp: Path, ml100k_cut: Path, caplog: pytest.LogCaptureFixture) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut), "temperature_mode": "learned", "learning_rate": 0.5}
    result = run("TwoTowerLogQ", "cut", config_dict={**settings, "epochs": 1, "train_batch_size": 32})
    temperature = result["history"][0]["temperature"]
    assert not 0.02 <= temperature <= 2
    assert "epoch 0: the learned temperature diverges: 0.2 at first" in caplog.text


def test_a_temperature_that_learns_is_not() -> None:
    assert temperature_warning(SimpleNamespace(mode="learned", start=0.2, temperature=0.05)) is None
    assert temperature_warning(SimpleNamespace(mode="scheduled", start=1.0, temperature=0.01)) is None


def test_rows_without_a_valid_negative_are_counted(
    in_tmp: Path, ml100k_cut: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = {**SETTINGS, "data_path": str(ml100k_cut), "epochs": 1, "train_batch_size": 2, "state": "INFO"}
    dropped = run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)["history"][0]["dropped_rows"]
    assert dropped > 0  # both rows of a step have the same item
    assert f"epoch 0: {dropped} rows had no valid negative and were left out" in caplog.text
