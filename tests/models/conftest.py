"""Training on one batch over and over, for tests that a model learns; models whose weights are all drawn."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import pytest
import torch
from torch import Tensor

Built = tuple[Any, Any, list[Any]]


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


@pytest.fixture
def build_drawn(build: Callable[..., Built]) -> Callable[..., Built]:
    """As ``build``, in float64, and the weights of ``parts(network)`` are drawn: some of them start as zeros."""

    def make(model: str, parts: Callable[[Any], Iterable[torch.nn.Module]], **settings: Any) -> Built:
        network, config, loaders = build(model, **settings)
        network = network.double().eval()
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            for part in parts(network):
                for weights in part.parameters():
                    weights.copy_(torch.randn(weights.shape, generator=generator, dtype=torch.float64))
        return network, config, loaders

    return make


@pytest.fixture
def check_gradient_in_parts(build: Callable[..., Built]) -> Callable[..., None]:
    """``check_gradient_in_parts(model, n_rows, **settings)``: a batch encoded in parts has its whole gradient."""

    def gradients(model: str, n_rows: int, **settings: Any) -> list[Tensor]:
        network, _, loaders = build(model, **settings)
        network = network.double().train()
        network.calculate_loss(loaders[0].batch(torch.arange(n_rows))).backward()
        return [parameter.grad.to_dense() for parameter in network.parameters()]

    def check(model: str, n_rows: int, **settings: Any) -> None:
        whole = gradients(model, n_rows, **settings)
        parts = gradients(model, n_rows, gradient_cache=7, **settings)
        for expected, gradient in zip(whole, parts, strict=True):
            torch.testing.assert_close(gradient, expected, rtol=1e-9, atol=1e-13)

    return check
