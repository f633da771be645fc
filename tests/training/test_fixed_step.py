"""Steps of fixed shapes against ordinary ones: the same gradient from the same batch and the same pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.samplers.device_numbers import DeviceNumbers

COUNT = 16


def gradients(network: Any, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    network.zero_grad()
    loss.backward()
    return {
        name: parameter.grad.to_dense().clone()
        for name, parameter in network.named_parameters()
        if parameter.grad is not None
    }


def planned(network: Any, loader: Any, fixed: Any) -> PlannedBatch:
    loader.least = 1
    loader.start_epoch()
    state = loader.generator.get_state()
    batch = next(batch for batch in loader if isinstance(batch, PlannedBatch))
    loader.generator.set_state(state)
    return batch


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"positions": "relative", "time": "both", "request_time": "known"},
        {"block": "hstu", "time": "bias"},
        {"block": "ligr", "feed_forward": "swiglu", "pools": 3},
        {"loss": "logq", "similarity": "cosine", "temperature": 0.1, "temperature_mode": "learned"},
        {"loss": "full_softmax", "negatives": {"source": "catalogue"}},
        {"sparse_embeddings": True},
        {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "none"}},
    ],
    ids=str,
)
def test_the_gradient_of_windows_is_that_of_an_ordinary_step(
    build: Callable[..., Any], settings: dict[str, Any]
) -> None:
    settings = {"negatives": {"source": "uniform", "count": COUNT}, "mask": "target", **settings}
    network, _, loaders = build("SASRecCorrectedLogQ", dropout=0.0, train_batch_tokens=205, **settings)
    network.double()
    batch = planned(network, loaders[0], True)
    rows = batch.plan[1].count_nonzero()
    fixed = batch.make(batch.plan)
    sampler = network.sampler
    sampler.numbers = DeviceNumbers("cpu", 0)
    sampler.generator.manual_seed(0)  # a uniform pool is then the same
    loss = network.calculate_loss(fixed)
    found = gradients(network, loss)
    ordinary = loaders[0].batch(torch.arange(0))
    windows = loaders[0].dataset.windows
    index = [
        int(((windows.start == start) & (windows.size == size)).nonzero()[0])
        for start, size in batch.plan[:, :rows].T.tolist()
    ]
    ordinary = loaders[0].batch(torch.tensor(index))
    assert int(fixed["item_id"].count_nonzero()) == batch.n_positives
    if settings.get("pools", 1) > 1:  # rows go to pools by their place: one pool for all of them
        network.pools = sampler.size = 1
        sampler.numbers.generator.manual_seed(0)
        sampler.generator.manual_seed(0)
        loss = network.calculate_loss(fixed)
        found = gradients(network, loss)
    expected_loss = network.calculate_loss(ordinary)
    expected = gradients(network, expected_loss)
    torch.testing.assert_close(loss, expected_loss, rtol=1e-7, atol=1e-9)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-8)
