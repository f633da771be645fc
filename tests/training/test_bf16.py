"""``enable_amp``: the model in bfloat16, losses, log Q and parameters in float32. Here on the CPU, which has it too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.training.retrieval_trainer import RetrievalTrainer


def losses(build: Callable[..., Any], model: str, steps: int, **settings: Any) -> list[float]:
    # Lookups and losses stay in float32: a tower without layers has nothing to round.
    settings |= {"mlp_sizes": [16]} if model.startswith("TwoTower") else {}
    network, config, loaders = build(model, dropout=0.0, learning_rate=0.01, **settings)
    trainer = RetrievalTrainer(config, network.train())
    scaler, schedule = torch.amp.GradScaler("cpu", enabled=False), trainer._get_schedule(steps)
    batch = next(iter(loaders[0]))
    state = network.sampler.generator.get_state()
    found = []
    for _ in range(steps):
        network.sampler.generator.set_state(state)  # the same pool at every step
        loss = trainer._train_batch(batch, scaler, schedule)
        assert loss.dtype == torch.float32
        found.append(float(loss))
    assert all(parameter.dtype == torch.float32 for parameter in network.parameters())
    return found


@pytest.mark.parametrize(
    "model",
    [
        *(f"SASRec{loss}" for loss in ("CorrectedLogQ", "MNSLogQ", "FullSoftmax", "BCE", "GBCE", "XIR")),
        *(f"TwoTower{loss}" for loss in ("CorrectedLogQ", "FullSoftmax")),
    ],
)
def test_starts_at_float32s_loss_and_falls_like_it(build: Callable[..., Any], in_tmp: Path, model: str) -> None:
    exact, half = (losses(build, model, 8, enable_amp=enabled) for enabled in (False, True))
    assert half[0] == pytest.approx(exact[0], rel=2e-2)
    assert half != exact  # autocast was on
    assert half[-1] < half[0]
    assert half[0] - half[-1] == pytest.approx(exact[0] - exact[-1], rel=0.2)


def test_sce_which_chooses_by_rounded_scores(build: Callable[..., Any], in_tmp: Path) -> None:
    found = losses(build, "SASRecSCE", 8, enable_amp=True)
    assert found[-1] < found[0]
