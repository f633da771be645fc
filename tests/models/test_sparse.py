"""Sparse gradients of id tables inside a whole model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.errors import RequestError
from recbole_logq.models.sparse import has_sparse_tables

MODELS = ["TwoTowerCorrectedLogQ", "SASRecMNSLogQ", "TwoTowerBPR", "SASRecCBNS", "TwoTowerXIR"]


@pytest.mark.slow
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("similarity", ["dot", "cosine"])
def test_the_gradient_is_the_dense_one(build: Callable[..., Any], model: str, similarity: str) -> None:
    settings = {"similarity": similarity, "temperature": 0.5, "dropout": 0.0, "clip_grad_norm": {"max_norm": 0.1}}
    found = []
    for sparse in (False, True):
        network, _, loaders = build(model, sparse_embeddings=sparse, **settings)
        network.calculate_loss(next(iter(loaders[0]))).backward()
        found.append({name: parameter.grad for name, parameter in network.named_parameters()})
    dense, sparse = found
    assert sum(grad.is_sparse for grad in sparse.values()) == (2 if model.startswith("TwoTower") else 1)
    for name, grad in sparse.items():
        torch.testing.assert_close(grad.to_dense(), dense[name], rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("TwoTowerFullSoftmax", {}, "gradient for every item"),
        ("SASRecSCE", {}, "gradient for every item"),
        ("TwoTowerLogQ", {"weight_decay": 0.01}, "weight_decay=0.01 is about all rows"),
        ("SASRecLogQ", {"learner": "adagrad"}, "learner=adagrad has no sparse form"),
    ],
)
def test_refused_where_it_makes_no_sense(
    build: Callable[..., Any], model: str, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=f"^sparse_embeddings=true: .*{message}"):
        build(model, sparse_embeddings=True, **settings)
    build(model, **settings)  # auto


def test_auto_is_about_the_rows_and_never_against_a_reason() -> None:
    values = {"sparse_embeddings": "auto", "loss": "logq", "learner": "adam", "weight_decay": 0.0}
    assert [has_sparse_tables(values, rows, False) for rows in (49_999, 50_000)] == [False, True]
    assert not has_sparse_tables(values, 10**6, True)
    assert not has_sparse_tables({**values, "weight_decay": 0.1}, 10**6, False)
    assert not has_sparse_tables({**values, "learner": "sgd"}, 10**6, False)


@pytest.mark.slow
@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ"])
def test_a_run_with_clipping_trains(ml100k_cut: Any, in_tmp: Any, model: str) -> None:
    settings = {"data_path": str(ml100k_cut), "epochs": 4, "state": "WARNING", "show_progress": False}
    settings |= {"sparse_embeddings": True, "clip_grad_norm": {"max_norm": 1.0}, "learner": "adamw"}
    # Drawn negatives: a last batch of one window has none of its own, and its loss of 0 would be in the epoch's mean.
    settings |= {"negatives.source": "uniform", "negatives.count": 64}
    settings |= {"train_batch_size": 256 if model.startswith("TwoTower") else 16}
    history = run(model, "cut", config_dict=settings)["history"]
    assert history[-1]["train_loss"] < history[0]["train_loss"]
