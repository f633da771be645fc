"""Masks, weights and temperatures inside a whole model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq import run
from recbole_logq.errors import WorkError
from recbole_logq.losses import get_loss
from recbole_logq.samplers import exclusion_of

RATED = {"load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}


@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ"])
def test_history_is_what_training_knows_of_a_user_and_nothing_else(build: Callable[..., Any], model: str) -> None:
    order = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    network, _, loaders = build(model, mask="history", eval_args=order)
    held_out = [loader._dataset.inter_feat for loader in loaders[1:]]
    training = loaders[0].dataset.inter_feat
    for user in training["user_id"].unique().tolist():
        _, known = network.history.of(torch.tensor([user]))
        targets = set(training["item_id"][training["user_id"] == user].tolist())
        assert targets <= set(known.tolist())
        assert len(known) <= len(targets) + (1 if model.startswith("SASRec") else 0)
        for part in held_out:
            later = set(part["item_id"][part["user_id"] == user].tolist()) - targets
            assert not later & set(known.tolist())


@pytest.mark.parametrize("mask", ["query", "history"])
@pytest.mark.parametrize("model", ["TwoTowerFullSoftmax", "SASRecFullSoftmax"])
def test_a_masked_full_softmax_leaves_those_items_out(build: Callable[..., Any], model: str, mask: str) -> None:
    network, _, loaders = build(model, mask=mask, dropout=0.0)
    batch = next(iter(loaders[0]))
    loss = network.calculate_loss(batch)
    rows = network.rows(batch)
    scores = network.scorer.query(rows.query) @ network.item_vectors(None)[1:].T
    sets = exclusion_of(mask, rows.positives, rows.users, network.history)
    held = sets.columns(torch.arange(1, network.n_items))[sets.row_set]
    own = torch.arange(1, network.n_items) == rows.positives.unsqueeze(1)
    assert (held & own).sum() == len(rows.positives)
    masked = scores.masked_fill(held & ~own, -torch.inf)
    expected = torch.nn.functional.cross_entropy(masked, rows.positives - 1)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-5)


def test_a_masked_column_gets_no_gradient(build: Callable[..., Any]) -> None:
    """With everything of the user's history masked, no item of it is pushed away by that user's rows."""
    network, _, loaders = build("TwoTowerCorrectedLogQ", mask="history")
    batch = next(iter(loaders[0]))
    one = batch["user_id"] == batch["user_id"][0]
    for field in ("user_id", "item_id"):
        batch.interaction[field] = batch[field][one]
    assert network.calculate_loss(batch).item() == 0.0  # a batch of one user: nothing is left to tell apart


@pytest.mark.parametrize("model", ["TwoTowerLogQ", "SASRecCorrectedLogQ"])
def test_the_loss_is_the_weighted_mean(build: Callable[..., Any], model: str) -> None:
    network, _, loaders = build(model, weight_field="rating", dropout=0.0, **RATED)
    batch = next(iter(loaders[0]))
    state = network.sampler.generator.get_state()
    loss = network.calculate_loss(batch)
    network.sampler.generator.set_state(state)
    rows = network.rows(batch)
    part = next(network._with_pools(rows))
    values, counted, _ = network._losses(part, network._looked_up([part]))
    assert counted.all()
    assert len(rows.weights.unique()) > 2
    assert loss.item() == pytest.approx(((values * rows.weights).sum() / rows.weights.sum()).item(), rel=1e-5)


def test_a_weight_never_enters_q(build: Callable[..., Any]) -> None:
    with_weights = build("TwoTowerLogQ", weight_field="rating", **RATED)[0]
    without = build("TwoTowerLogQ", **RATED)[0]
    assert torch.equal(with_weights.sampler.log_frequency, without.sampler.log_frequency)


@pytest.mark.parametrize("mode", ["learned", "scheduled"])
def test_temperature_moves_and_is_reported(in_tmp: Path, ml100k_cut: Path, mode: str) -> None:
    settings: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 2, "show_progress": False}
    settings |= {"temperature": 0.5, "temperature_mode": mode, "learning_rate": 0.01, "train_batch_size": 64}
    if mode == "scheduled":
        settings |= {"temperature_end": 0.1, "temperature_steps": 10}
    result = run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)
    seen = [row["temperature"] for row in result["history"]]
    assert abs(seen[-1] - 0.5) > 0.005
    assert mode == "learned" or seen[-1] == pytest.approx(0.1)


def test_an_epoch_in_which_no_row_counts_ends_the_run(in_tmp: Path, ml100k_cut: Path) -> None:
    """Batches of one row have no other row's positive."""
    settings: dict[str, Any] = {
        "data_path": str(ml100k_cut),
        "epochs": 1,
        "show_progress": False,
        "train_batch_size": 1,
    }
    with pytest.raises(WorkError, match="no row had a valid negative"):
        run("TwoTowerCorrectedLogQ", "cut", config_dict=settings)


def test_a_table_that_the_last_step_broke_loses_no_result(in_tmp: Path, ml100k_cut: Path) -> None:
    settings: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "similarity": "dot"}
    settings |= {"learner": "sgd", "learning_rate": 1e25, "train_batch_size": 100_000}
    result = run("TwoTowerFullSoftmax", "cut", config_dict=settings)  # 1e22: its squares are beyond float32
    assert None in result["history"][0]["diagnostics"].values()
    json.dumps(result, allow_nan=False)
    with pytest.raises(WorkError, match="lower learning_rate"):
        run("TwoTowerFullSoftmax", "cut", config_dict={**settings, "epochs": 3})


def test_sce_counts_the_rows_that_a_bucket_holds(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerSCE", loss_options={"buckets": 2, "bucket_rows": 3, "bucket_items": 20})
    batch = next(iter(loaders[0]))
    loss = network.calculate_loss(batch)
    held = len(batch) - int(network.statistics.dropped)
    assert 1 <= held <= 6
    again = get_loss(
        "sce", buckets=2, bucket_rows=3, bucket_items=20, seed=network.sampler.generator.initial_seed() + 1
    )
    rows = network.rows(batch)
    query, vectors = network.scorer.query(rows.query), network.item_vectors(None)[1:]
    column = rows.positives - 1
    values = again.from_vectors(query, vectors[column], vectors, positive_column=column)
    assert int((values > 0).sum()) == held
    assert loss.item() == pytest.approx((values.sum() / held).item(), rel=1e-5)
