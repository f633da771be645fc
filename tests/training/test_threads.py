"""Threads of a training step: what pays, and back to all of them for ranking."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run


@pytest.mark.parametrize(
    ("model", "settings", "expected"),
    [
        ("TwoTowerCorrectedLogQ", {}, 1),
        ("TwoTowerCorrectedLogQ", {"mlp_sizes": [16]}, 2),
        ("TwoTowerCorrectedLogQ", {"user_tower": "history", "max_history": 10, "eval_args": {"order": "TO"}}, 2),
        ("TwoTowerCorrectedLogQ", {"train_batch_size": 4096, "embedding_size": 512}, 2),
        ("TwoTowerFullSoftmax", {}, 2),
        ("SASRecLogQ", {"MAX_ITEM_LIST_LENGTH": 10}, 2),
    ],
)
def test_small_steps_have_one_thread(
    in_tmp: Path, ml100k_cut: Path, model: str, settings: dict[str, Any], expected: int
) -> None:
    torch.set_num_threads(2)  # after the test there are as many as before
    threads: dict[str, set[int]] = {"training": set(), "ranking": set()}

    def watch(trainer: Any, loaders: Any) -> None:
        step, rank = trainer.model.calculate_loss, trainer.evaluate

        def training_step(batch: Any) -> Any:
            threads["training"].add(torch.get_num_threads())
            return step(batch)

        def ranking(*arguments: Any, **options: Any) -> Any:
            threads["ranking"].add(torch.get_num_threads())
            return rank(*arguments, **options)

        trainer.model.calculate_loss, trainer.evaluate = training_step, ranking

    common = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "use_gpu": False, "state": "WARNING"}
    run(model, "cut", config_dict={**common, **settings}, callback=watch, saved=False)
    assert threads == {"training": {expected}, "ranking": {2}}
