"""Several pools a step: the same loss where they are equal, less noise where they are drawn."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.errors import RequestError

ALL = {"source": "in_batch", "count": None}


def gradient(network: Any, batch: Any) -> torch.Tensor:
    network.zero_grad()
    network.calculate_loss(batch).backward()
    return torch.cat([parameter.grad.flatten() for parameter in network.parameters() if parameter.grad is not None])


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("SASRecLogQ", {}),  # keeps hits, so the own column is known by its origin
        ("SASRecCorrectedLogQ", {"mask": "query"}),
        ("TwoTowerCorrectedLogQ", {}),
        (
            "TwoTowerLogQ",
            {"weight_field": "rating", "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}},
        ),
    ],
)
def test_pools_of_everything_are_one_pool(build: Callable[..., Any], model: str, settings: dict[str, Any]) -> None:
    rows = 16 if model.startswith("SASRec") else 200  # the last has a pool for each
    network, _, loaders = build(model, dropout=0.0, negatives=ALL, train_batch_size=rows, **settings)
    network.double()
    batch = next(iter(loaders[0]))
    values, gradients = [], []
    for pools in (1, 3, 10**6):
        network.pools = pools
        values.append(network.calculate_loss(batch).item())
        gradients.append(gradient(network, batch))
    assert values[1:] == pytest.approx([values[0]] * 2, rel=1e-6)  # log Q is stored in float32
    for found in gradients[1:]:
        torch.testing.assert_close(found, gradients[0], rtol=1e-5, atol=1e-9)
    assert network.statistics.positives == 6 * len(network.rows(batch).positives)


@pytest.mark.parametrize("source", ["in_batch", "mixed"])
def test_the_items_of_all_pools_are_looked_up_at_once(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, source: str
) -> None:
    """The gradient of each look-up is as large as the table."""
    negatives = {"source": source, "count": 8}
    network, _, loaders = build("TwoTowerLogQ", pools=5, negatives=negatives, train_batch_size=200)
    look_up, asked = network.item_vectors, []
    monkeypatch.setattr(network, "item_vectors", lambda ids: (asked.append(len(ids)), look_up(ids))[1])
    batch = next(iter(loaders[0]))
    network.calculate_loss(batch).backward()
    assert asked == [len(network.rows(batch).positives) + 5 * 8]


def test_the_noise_of_drawing_falls_with_the_number_of_pools(build: Callable[..., Any]) -> None:
    network, _, loaders = build("SASRecCorrectedLogQ", dropout=0.0, negatives={"source": "uniform", "count": 8})
    batch = next(iter(loaders[0]))
    spread = {}
    for pools in (1, 8):
        network.pools = pools
        spread[pools] = torch.stack([gradient(network, batch) for _ in range(60)]).var(0).sum()
    assert 4 < spread[1] / spread[8] < 16


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("SASRecFullSoftmax", {}, "the same for all rows"),
        ("SASRecCBNS", {}, "learns from the pool"),
        ("SASRecXIR", {}, "learns from the pool"),
        ("SASRecStreamingLogQ", {}, "learns from the pool"),
        ("SASRecLogQ", {"nproc": 2}, "one of the two"),
    ],
)
def test_refused(model: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Config(model, "ml-100k", None, {"pools": 4, **settings})
