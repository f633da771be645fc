"""A step whose sizes nobody waits for, as on an accelerator, has the loss and the gradient of one without padding."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor


@pytest.mark.parametrize("encoder", ["TwoTower", "SASRec"])
@pytest.mark.parametrize(
    "settings",
    [
        {"negatives.source": "in_batch_unique"},
        {"negatives.source": "in_batch_unique", "negatives.count": 5},
        {"negatives.source": "streaming", "negatives.count": 5},
        {"negatives.source": "in_batch_unique", "mask": "query"},
        {"negatives.source": "in_batch_unique", "negatives.own": "window"},
        {"negatives.own": "history"},
        {"mask": "query"},
        {"mask": "history"},
        {"loss": "FullSoftmax", "mask": "history"},
    ],
    ids=str,
)
def test_a_step_has_the_same_loss_and_gradient(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, encoder: str, settings: dict[str, Any]
) -> None:
    settings = dict(settings)
    model = encoder + settings.pop("loss", "CorrectedLogQ")
    results: list[list[Tensor]] = []
    for with_padding in (False, True):
        for module in ("distinct", "exclusion"):
            monkeypatch.setattr(f"recbole_logq.samplers.{module}.pads", lambda device, padded=with_padding: padded)
        network, _, loaders = build(model, train_batch_size=16, dropout=0.0, **settings)
        batch = next(iter(loaders[0]))
        loss = network.calculate_loss(batch)
        network.after_step()
        loss = loss + network.calculate_loss(batch)  # streaming has learned from the first
        results.append([loss, *torch.autograd.grad(loss, list(network.parameters()), allow_unused=True)])
        results[-1].append(torch.tensor(network.statistics.negatives))
    for exact, filled in zip(*results, strict=True):
        torch.testing.assert_close(exact, filled)
