"""Every recipe x encoder learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.models.resolve import own_models


@pytest.mark.parametrize("model", own_models())
def test_the_loss_falls_on_a_fixed_batch(
    build: Callable[..., Any], losses_on_one_batch: Callable[..., list[float]], model: str
) -> None:
    network, _, loaders = build(model, dropout=0.0)
    values = losses_on_one_batch(network, loaders[0])
    assert values[-1] < 0.9 * values[0]


@pytest.mark.parametrize("model", own_models())
def test_padding_rows_never_move(build: Callable[..., Any], model: str) -> None:
    network, _, loaders = build(model)
    network.calculate_loss(next(iter(loaders[0]))).backward()
    tables = [module for module in network.modules() if isinstance(module, torch.nn.Embedding)]
    for table in tables:
        if table.padding_idx is not None:
            assert not table.weight[0].any()
            assert not table.weight.grad[0].any()


def test_the_counts_are_those_of_the_training_targets(build: Callable[..., Any]) -> None:
    for model in ("TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ"):
        network, _, loaders = build(model)
        targets = torch.cat([batch["item_id"].flatten() for batch in loaders[0]])
        counts = torch.bincount(targets[targets > 0], minlength=network.n_items)
        seen = counts.nonzero().flatten()
        log_q = network.sampler.sample(targets[targets > 0][:4]).log_q_of(seen)
        torch.testing.assert_close(log_q, (counts[seen] / counts.sum()).log(), rtol=1e-5, atol=1e-5)


def test_a_batch_of_one_item_counts_no_row(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerCorrectedLogQ")
    batch = next(iter(loaders[0]))
    batch.interaction["item_id"] = torch.full_like(batch["item_id"], 3)
    loss = network.calculate_loss(batch)
    loss.backward()
    assert loss.item() == 0.0
    assert not any(weight.grad.any() for weight in network.parameters() if weight.grad is not None)
    assert int(network.statistics.dropped) == len(batch)


SMALL: dict[str, dict[str, Any]] = {
    "TwoTower": {"train_batch_size": 256, "embedding_size": 32, "learning_rate": 0.1},
    "SASRec": {
        "train_batch_size": 32,
        "embedding_size": 32,
        "inner_size": 32,
        "n_layers": 1,
        "n_heads": 1,
        "MAX_ITEM_LIST_LENGTH": 20,
        "learning_rate": 0.03,
    },
}
"""As small, and with steps as large, as shows in an epoch that a recipe learns."""
FEWER = {"user_inter_num_interval": "[5,150]"}
"""Half the interactions of ml-100k, of most of its users."""


@pytest.mark.slow
@pytest.mark.parametrize("model", own_models())
def test_an_epoch_beats_random_ranking_three_times(in_tmp: Path, model: str) -> None:
    settings = {"epochs": 1, "show_progress": False, "state": "ERROR", **FEWER}
    settings |= next(small for encoder, small in SMALL.items() if model.startswith(encoder))
    watched: list[Any] = []
    result = run(
        model, "ml-100k", config_dict=settings, saved=False, callback=lambda _, loaders: watched.append(loaders[2])
    )
    assert result["test_result"]["ndcg@10"] >= 3 * random_ndcg(watched[0])


def random_ndcg(test_data: Any, cutoff: int = 10) -> float:
    """The expected NDCG of a uniformly random ranking, worked out from the number of targets and candidates."""
    discounts = [1 / math.log2(rank + 1) for rank in range(1, cutoff + 1)]
    total, users = 0.0, 0
    for _, history, positive_user, _ in test_data:
        n_items = test_data._dataset.item_num - 1
        targets = torch.bincount(positive_user)
        excluded = torch.bincount(history[0], minlength=len(targets)) if history else torch.zeros_like(targets)
        for relevant, seen in zip(targets.tolist(), excluded.tolist(), strict=True):
            hits = sum(discounts) * relevant / (n_items - seen)
            total += hits / sum(discounts[: min(relevant, cutoff)])
            users += 1
    return total / users
