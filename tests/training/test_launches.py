"""How many kernels a step launches, counted on torch's ``meta`` device."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.samplers.device_numbers import DeviceNumbers

ROOT = Path(__file__).parents[2]
META = torch.device("meta")
SASREC = {"train_batch_tokens": 1600, "MAX_ITEM_LIST_LENGTH": 200, "embedding_size": 128, "dropout": 0.5, "n_heads": 1}


@pytest.mark.parametrize(
    ("model", "settings", "forward", "backward"),
    [
        ("SASRecCorrectedLogQ", SASREC, 78, 77),
        ("SASRecMNSCorrectedLogQ", {**SASREC, "pools": 2}, 82, 77),
        ("SASRecMNSCorrectedLogQ", {**SASREC, "pools": 32}, 82, 77),
        ("SASRecMNSCorrectedLogQ", {**SASREC, "pools": 3}, 85, 79),
        ("TwoTowerCorrectedLogQ", {"train_batch_size": 512}, 39, 33),
    ],
    ids=["SASRec", "SASRec, 2 mixed pools", "SASRec, 32 mixed pools", "SASRec, rows that 3 do not divide", "TwoTower"],
)
def test_launches_of_a_step(
    build: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    model: str,
    settings: dict[str, Any],
    forward: int,
    backward: int,
) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    from launches import LaunchCounter

    network, config, loaders = build(model, sparse_embeddings=True, **{"negatives.count": 256}, **settings)
    network.to(META).train()
    network.sampler.numbers, network.fixed_shapes = DeviceNumbers(META, 0), True
    config["device"] = META
    loader = config.model_class.train_loader(config, loaders[0].dataset)
    loader.least = 1
    batch = next(batch for batch in loader if isinstance(batch, PlannedBatch))
    made = batch.make(batch.plan)
    network.calculate_loss(made)  # tables of a law are made once
    with LaunchCounter(META) as of_forward:
        loss = network.calculate_loss(made)
    with LaunchCounter(META) as of_backward:
        loss.backward()
    assert of_forward.total <= forward, of_forward.counts
    assert of_backward.total <= backward, of_backward.counts
    assert of_forward.counts["baddbmm"] == 1  # all pools in one product
