"""A memory of vectors: the average by hand, what a step's loss and gradient are made of, and where it is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from recbole_logq import run
from recbole_logq.config import Config
from recbole_logq.errors import RequestError
from recbole_logq.models.key_encoder import KeyEncoder
from recbole_logq.modules.tower import Tower
from recbole_logq.training import checkpoint

TOWERS = {"item_features": ["class"], "mlp_sizes": [8], "id_dropout": 0.5, "dropout": 0.5, "train_batch_size": 40}
MEMORY = {"negatives.memory": 60, "negatives.warmup_steps": 0, "negatives.count": None}


def test_the_average_in_numbers() -> None:
    """From 1: 0.9 * 1 + 0.1 * 3 = 1.2, then 0.9 * 1.2 + 0.1 * 5 = 1.58."""
    tower = Tower(4, 2, (2,))
    for parameter in tower.parameters():
        torch.nn.init.ones_(parameter)
    keys = KeyEncoder(tower, 0.9)
    for value, expected in ((3.0, 1.2), (5.0, 1.58)):
        for parameter in tower.parameters():
            torch.nn.init.constant_(parameter, value)
        keys.follow(tower)
        for parameter in keys.average.parameters():
            torch.testing.assert_close(parameter, torch.full_like(parameter, expected))
            assert not parameter.requires_grad


@pytest.mark.parametrize("momentum", [0.0, 0.7])
@pytest.mark.parametrize("model", ["TwoTowerCBNSCorrectedLogQ", "SASRecCBNSCorrectedLogQ"])
def test_a_step_by_hand(build: Callable[..., Any], model: str, momentum: float) -> None:
    """The loss of the third step, and its gradient, from weights that the test has averaged itself."""
    towers = {key: value for key, value in TOWERS.items() if model.startswith("TwoTower") or key != "mlp_sizes"}
    options = {**towers, **MEMORY, "negatives.momentum": momentum, "sparse_embeddings": False}
    network, _, loaders = build(model, **{**options, "train_batch_size": 40 if model.startswith("TwoTower") else 3})
    network.train().double()
    optimizer = torch.optim.SGD(network.parameters(), lr=0.5)
    average = [weight.detach().clone() for weight in network.item_encoder().parameters()]
    entered: list[tuple[torch.Tensor, torch.Tensor]] = []
    for step, batch in enumerate(loaders[0]):
        torch.manual_seed(step)
        optimizer.zero_grad()
        value = network.calculate_loss(batch)
        value.backward()
        if step == 2:
            break
        ids = network.sampler.entering.clone()
        optimizer.step()
        network.after_step()
        with torch.no_grad():
            tower = network.item_encoder()
            for mean, weight in zip(average, tower.parameters(), strict=True):
                mean.mul_(momentum).add_(weight, alpha=1 - momentum)
            names = [name for name, _ in tower.named_parameters()]
            tower.eval()
            vectors = torch.func.functional_call(tower, dict(zip(names, average, strict=True)), (ids,))
            entered.insert(0, (ids, network.scorer.item(vectors)))
            network.train()
    memory_ids, memory = (torch.cat(parts)[:60] for parts in zip(*entered, strict=True))
    torch.testing.assert_close(network.sampler.vectors[: len(memory)], memory)
    assert network.sampler.queue[: len(memory)].tolist() == memory_ids.tolist()
    if momentum:
        assert (memory - network.item_vectors(memory_ids)).abs().max() > 1e-3

    gradient = {name: one.grad.clone() for name, one in network.named_parameters() if one.grad is not None}
    assert not any(name.startswith("keys.") for name in gradient)
    network.zero_grad()
    torch.manual_seed(2)  # the same dropout
    rows = network.rows(batch)
    query, n = network.scorer.query(rows.query), len(rows.positives)
    vectors = network.item_vectors(torch.cat([rows.positives, rows.positives]))
    positive, own = vectors[:n], vectors[n:]
    if own.requires_grad:  # the batch's columns stand for the memory's too, which have no gradient
        own.register_hook(lambda grad: grad * (n + len(memory)) / n)
    columns = torch.cat([own, memory])
    ids = torch.cat([rows.positives, memory_ids])
    q = (network.target_counts.double() / network.target_counts.sum()).float()  # stored in float32
    scores = query @ columns.T - q[ids].log() + torch.log1p(-q[rows.positives]).unsqueeze(1)
    out = ids == rows.positives.unsqueeze(1)
    if rows.windows is not None:
        out[:, :n] |= rows.windows == rows.windows.unsqueeze(1)
    scores = scores.masked_fill(out, -torch.inf)
    losses = torch.nn.functional.softplus(scores.logsumexp(1) - (~out).sum(1).log() - (query * positive).sum(1))
    torch.testing.assert_close(value, losses.mean(), rtol=1e-6, atol=0)
    losses.mean().backward()
    for name, expected in gradient.items():
        torch.testing.assert_close(dict(network.named_parameters())[name].grad, expected, rtol=1e-5, atol=1e-9)


def test_a_memory_of_the_same_batch_has_the_gradient_of_ids(build: Callable[..., Any]) -> None:
    """Where the queue holds the batch's own ids and nothing has moved, vectors and ids are the same negatives."""
    gradients = []
    for momentum in ({}, {"negatives.momentum": 0.0}):
        settings = {**TOWERS, **MEMORY, "dropout": 0.0, "id_dropout": 0.0, "negatives.memory": 40, **momentum}
        network, _, loaders = build("TwoTowerCBNSCorrectedLogQ", **settings)
        network.train().double()
        batch = next(iter(loaders[0]))
        network.calculate_loss(batch)
        network.after_step()
        network.zero_grad()
        network.calculate_loss(batch).backward()
        gradients.append({name: one.grad for name, one in network.named_parameters() if one.grad is not None})
    of_ids, of_vectors = gradients
    assert of_ids.keys() == of_vectors.keys()
    for name, expected in of_ids.items():
        torch.testing.assert_close(of_vectors[name], expected, rtol=1e-6, atol=1e-12)


def test_features_are_shared_and_nothing_is_dropped(build: Callable[..., Any]) -> None:
    network, _, _ = build("TwoTowerCBNS", **TOWERS, **{"negatives.momentum": 0.9})
    tower, average = network.item_tower.embedding, network.keys.average.embedding
    assert average.fields.values_0.data_ptr() == tower.fields.values_0.data_ptr()
    assert average.ids.weight.data_ptr() != tower.ids.weight.data_ptr()
    network.train()
    ids, before = torch.arange(1, 20), torch.get_rng_state()
    assert torch.equal(network.keys(ids), network.keys(ids))
    assert torch.equal(torch.get_rng_state(), before)


def test_nothing_of_it_is_exported(in_tmp: Path, ml100k_cut: Path) -> None:
    from recbole_logq.experiment.restore import restore_own
    from recbole_logq.serving.export import export

    settings = {**TOWERS, **MEMORY, "negatives.momentum": 0.9, "data_path": str(ml100k_cut), "epochs": 1}
    file = run("TwoTowerCBNS", "cut", config_dict={**settings, "show_progress": False, "embedding_size": 16})[
        "checkpoint"
    ]
    state = checkpoint.load(file)["state_dict"]
    assert state["sampler.vectors"].shape == (60, 8)
    assert any(name.startswith("keys.average.") for name in state)
    export(file, in_tmp / "out")
    with safe_open(in_tmp / "out" / "encoder.safetensors", "pt") as weights:
        names = list(weights.keys())
    assert names
    assert not [name for name in names if "key" in name or "sampler" in name]
    vectors = restore_own(file).network.eval().item_vectors(None).detach()[1:]
    np.testing.assert_array_equal(np.load(in_tmp / "out" / "item_vectors.npy"), vectors.numpy())


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("TwoTowerCBNS", {}, "a plain table, .* set mlp_sizes or item_features, or leave momentum out"),
        ("SASRecCBNS", {}, "a plain table, .* set item_features, or leave momentum out"),
        ("TwoTowerCBNS", {"mlp_sizes": [8], "negatives.momentum": 1}, "from 0 up and below 1, got 1"),
        ("TwoTowerCBNS", {"mlp_sizes": [8], "negatives.momentum": "high"}, "momentum must be a number, got 'high'"),
        ("TwoTowerLogQ", {"mlp_sizes": [8]}, "unknown setting negatives.momentum"),
    ],
)
def test_refused(model: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        Config(model, "ml-100k", None, {"negatives.momentum": 0.9, **settings})
