"""Training on one batch over and over, for tests that a model learns."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch


@pytest.fixture
def losses_on_one_batch() -> Callable[..., list[float]]:
    """Losses of some steps on the first batch of a loader, with the same pool at every step."""

    def train(
        network: Any,
        loader: Any,
        steps: int = 12,
        learning_rate: float = 0.01,
        after_backward: Callable[[int], None] = lambda step: None,
    ) -> list[float]:
        batch = next(iter(loader))
        optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate)
        state = network.sampler.generator.get_state()
        values = []
        for step in range(steps):
            network.sampler.generator.set_state(state)
            optimizer.zero_grad()
            loss = network.calculate_loss(batch)
            loss.backward()
            after_backward(step)
            optimizer.step()
            values.append(loss.item())
        assert all(math.isfinite(value) for value in values)
        return values

    return train
