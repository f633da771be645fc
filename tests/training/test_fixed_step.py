"""Steps of fixed shapes: the gradient of an ordinary step on the same batch and pool, and whole epochs of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.errors import RequestError
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.training.fixed_step import FixedStep
from recbole_logq.training.retrieval_trainer import RetrievalTrainer

UNIFORM = {"source": "uniform", "count": 16}


def gradients(network: Any, batch: Any) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Loss and gradients, from the numbers that a seed begins with: a uniform pool is then the same either way."""
    for generator in (network.sampler.generator, network.sampler.numbers.generator):
        generator.manual_seed(0)
    network.zero_grad()
    loss = network.calculate_loss(batch)
    loss.backward()
    found = {name: parameter.grad for name, parameter in network.named_parameters() if parameter.grad is not None}
    return loss.detach(), {name: gradient.to_dense().clone() for name, gradient in found.items()}


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("SASRecCorrectedLogQ", {"sparse_embeddings": True}),
        ("SASRecCorrectedLogQ", {"positions": "relative", "time": "both", "request_time": "known"}),
        # Positions of validation and test lie inside of windows.
        ("SASRecLogQ", {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "none"}}),
        ("SASRecFullSoftmax", {}),
    ],
)
def test_the_gradient_is_that_of_an_ordinary_step(
    build: Callable[..., Any], model: str, settings: dict[str, Any]
) -> None:
    negatives = {} if model == "SASRecFullSoftmax" else {"negatives": UNIFORM}
    network, _, loaders = build(model, dropout=0.0, train_batch_tokens=205, **negatives, **settings)
    network.double()
    network.sampler.numbers = DeviceNumbers("cpu", 0)
    loader = loaders[0]
    loader.least = 1
    loader.start_epoch()
    planned = next(iter(loader))
    windows = loader.dataset.windows
    held = int(planned.plan[1].count_nonzero())
    rows = [((windows.start == a) & (windows.size == b)).nonzero()[0, 0] for a, b in planned.plan[:, :held].T]
    fixed, ordinary = planned.make(planned.plan), loader.batch(torch.stack(rows))
    assert fixed["item_id"].shape == (loader.budget,)
    assert int(fixed.real.sum()) == planned.n_positives == len(network.rows(ordinary).positives)
    loss, found = gradients(network, fixed)
    expected_loss, expected = gradients(network, ordinary)
    torch.testing.assert_close(loss, expected_loss, rtol=1e-6, atol=1e-9)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ("SASRecMNSCorrectedLogQ", {"train_batch_tokens": 300, "pools": 3, "lr_schedule": "linear", "warmup_steps": 3}),
        ("TwoTowerCorrectedLogQ", {"train_batch_size": 256, "sparse_embeddings": True}),
    ],
)
def test_an_epoch(build: Callable[..., Any], in_tmp: Path, model: str, settings: dict[str, Any]) -> None:
    settings |= {
        "negatives.count": 16,
        "cuda_graph": True,
        "epochs": 2,
        "learning_rate": 0.01,
        "clip_grad_norm": {"max_norm": 1.0},
    }
    network, config, loaders = build(model, **settings)
    trainer, loader = RetrievalTrainer(config, network), loaders[0]
    first = trainer._train_epoch(loader, 0)
    assert isinstance(trainer.fixed_step, FixedStep)
    assert network.statistics.positives == loader.n_positives  # real ones alone, each once
    assert int(network.statistics.dropped) == 0
    assert 0 < network.statistics.weights()["mean"] < 1
    state = network.sampler.get_extra_state()
    assert trainer._train_epoch(loader, 1) < first
    assert not torch.equal(state["numbers"], network.sampler.numbers.state())
    resumed = build(model, **settings)[0].sampler
    resumed.set_extra_state(state)  # before a trainer has said where numbers come from
    assert torch.equal(state["numbers"], resumed.draw_on(torch.device("cpu"), 1).state())
    assert all(isinstance(group["lr"], float) for group in trainer.optimizer.param_groups)


def test_a_budget_takes_every_target_once(build: Callable[..., Any]) -> None:
    _, _, loaders = build("SASRecCorrectedLogQ", train_batch_tokens=205)
    loader = loaders[0]
    assert loader.budget == 210  # a multiple of the longest window
    loader.start_epoch()
    batches = list(loader)
    assert len(batches) == len(loader)
    seen = torch.cat([batch["user_id"] * 10_000 + batch["item_id"] for batch in batches])
    table = loader.dataset.inter_feat
    assert torch.equal(seen.sort().values, (table["user_id"] * 10_000 + table["item_id"]).sort().values)
    sizes = [batch.packing.n_tokens for batch in batches]
    assert max(sizes) <= loader.budget
    assert min(sizes[:-1]) > loader.budget - loader.longest  # the next window would not have fitted


def test_without_enough_targets_a_batch_is_an_ordinary_one(build: Callable[..., Any]) -> None:
    _, _, loaders = build("TwoTowerCorrectedLogQ", train_batch_size=64)
    loaders[0].least = 32
    *whole, last = list(loaders[0])
    assert all(isinstance(batch, PlannedBatch) and batch.n_positives == 64 for batch in whole)
    assert not isinstance(last, PlannedBatch)
    assert 0 < len(last["item_id"]) <= 64


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("SASRecCorrectedLogQ", {}, "set train_batch_tokens"),
        ("SASRecCorrectedLogQ", {"train_batch_tokens": 512, "mask": "history"}, "mask=history"),
        ("TwoTowerSCE", {}, "loss=sce picks its items itself"),
        ("TwoTowerXIR", {}, "negatives.source=xir has no form"),
        ("TwoTowerLogQ", {"nproc": 2}, "nproc=2"),
        ("TwoTowerInBatch", {"negatives": {"source": "in_batch", "count": None}}, "negatives.count"),
    ],
)
def test_refused_before_any_work(model: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Config(model, "ml-100k", None, {"cuda_graph": True, **settings})
    Config(model, "ml-100k", None, {"cuda_graph": "auto", **settings})  # falls back
