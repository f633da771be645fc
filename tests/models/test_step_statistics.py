"""What an epoch reports about itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recbole_logq.models.step_statistics import StepStatistics
from recbole_logq.samplers import valid_columns


def test_mean_and_deciles() -> None:
    statistics = StepStatistics()
    assert statistics.weights() == {}
    all_rows = torch.ones(5001, dtype=torch.bool)
    statistics.add_weights(torch.linspace(0, 1, 5001), all_rows)
    statistics.add_weights(torch.linspace(0, 1, 5001), all_rows)
    statistics.add_weights(torch.zeros(5001), ~all_rows)  # rows that do not count
    weights = statistics.weights()
    assert weights["mean"] == pytest.approx(0.5, abs=1e-4)
    assert [weights[f"d{d}"] for d in range(10, 100, 10)] == pytest.approx(
        [d / 100 for d in range(10, 100, 10)], abs=2e-3
    )


@pytest.mark.parametrize("weight", [0.9995, 1.0])
def test_weights_count_beyond_what_single_precision_counts_to(weight: float) -> None:
    statistics = StepStatistics()
    rows = torch.full((2**21,), weight)
    half = torch.arange(len(rows)) % 2 == 0
    for _ in range(12):  # 2^24 and half as many again
        statistics.add_weights(rows, torch.ones_like(half))
    statistics.add_weights(torch.zeros_like(rows), half)
    found = statistics.weights()
    share = 12 / 12.5  # the rest weighs 0
    assert found["mean"] == pytest.approx(share * weight, abs=1e-6)
    assert found["mean"] <= 1
    assert int(statistics._histogram.sum()) == 25 * 2**20
    assert [found[f"d{d}"] for d in (10, 50, 90)] == pytest.approx(
        [int(min(weight, 0.9999) * 1000) / 1000] * 3, abs=1.1e-3
    )


def test_the_order_of_weights_does_not_matter() -> None:
    weights = torch.rand(100_000, generator=torch.Generator().manual_seed(1))
    found = []
    for order in (weights, weights.flip(0), weights.sort().values):
        statistics = StepStatistics()
        for part in order.split(777):
            statistics.add_weights(part, torch.ones(len(part), dtype=torch.bool))
        found.append(statistics.weights())
    assert found[0] == found[1] == found[2]
    assert found[0]["mean"] == pytest.approx(weights.double().mean().item(), abs=1e-7)


def test_steps_are_averaged() -> None:
    statistics = StepStatistics()
    statistics.add(10, torch.tensor(1), 4)
    statistics.add(20, torch.tensor(2), 8)
    assert (statistics.positives, int(statistics.dropped), statistics.negatives) == (30, 3, 6.0)


def test_the_logged_weight_is_that_of_the_loss(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerCorrectedLogQ")
    batch = next(iter(loaders[0]))
    state = network.sampler.generator.get_state()
    network.calculate_loss(batch)
    network.sampler.generator.set_state(state)
    users, items = batch["user_id"], batch["item_id"]
    pool = network.sampler.sample(items)
    query = network.scorer.query(network.user_tower(users))
    positive = (query * network.item_vectors(items)).sum(1)
    valid = valid_columns(pool, items, "masked")
    negatives = query @ network.item_vectors(pool.ids).T
    expected = network.loss.weight_of(network.loss(positive, negatives, valid=valid, **pool.terms(items)))
    assert network.statistics.weights()["mean"] == pytest.approx(expected.mean().item(), rel=1e-5)


def test_the_loss_of_an_epoch_is_the_mean_over_its_rows_however_they_were_split():
    """A batch without a row that counts is no loss of 0."""
    generator = torch.Generator().manual_seed(0)
    values, weights = torch.rand(2, 9, generator=generator)
    counted = torch.tensor([True, True, False, True, True, False, True, False, False])
    for chosen in (None, weights):
        split, whole = StepStatistics(), StepStatistics()
        assert split.loss == 0
        whole.add_losses(values, counted, chosen)
        for part in (slice(0, 4), slice(4, 7), slice(7, 9)):  # the last one has no row that counts
            split.add_losses(values[part], counted[part], None if chosen is None else chosen[part])
        share = counted.float() if chosen is None else counted * chosen
        assert split.loss == pytest.approx(((values * share).sum() / share.sum()).item())
        assert split.loss == pytest.approx(whole.loss)
        split.reset()
        assert split.loss == 0
