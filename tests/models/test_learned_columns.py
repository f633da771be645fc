"""A learned proposal inside whole models: what a step teaches it, by hand, however the step is taken."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from recbole_logq.models.batch_rules import check_data

POOL = {"source": "systematic", "count": 24, "proposal": "learned", "rate": 0.5}
RATED = {"weight_field": "rating", "load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}


def estimate_by_hand(network: Any, batch: Any) -> torch.Tensor:
    """Mean over rows of p / pi over the columns that a row has, by item; the pool is the next one."""
    rows = network.rows(batch)
    (part,) = network._with_pools(rows)
    pool, scores = part.pool, network.scorer.query(rows.query) @ network.item_vectors(None).T
    positive, ratio = scores.gather(1, rows.positives[:, None]).exp(), scores[:, pool.ids].exp() / pool.log_q.exp()
    valid = pool.terms(rows.positives, part.excluded, network.hits, rows.windows, part.own).valid(0, len(scores))
    own = 0.0 if part.certain is None else part.certain.exp()[:, None]
    share = ratio * valid / (positive + own + (ratio * valid).sum(1, keepdim=True))
    weights = (torch.ones(len(share)) if rows.weights is None else rows.weights).double()
    return torch.zeros(network.n_items).double().index_add_(0, pool.ids, weights @ share / weights.sum())


@pytest.mark.parametrize(
    ("model", "negatives", "settings"),
    [
        ("SASRec", {}, {}),
        ("SASRec", {"own": "window"}, {"mask": "history", "gradient_cache": 3}),
        ("TwoTower", {"own": "window"}, {**RATED, "train_batch_size": 200}),
        ("TwoTower", {}, {"mask": "query", "train_batch_size": 200, "sparse_embeddings": True}),
    ],
    ids=str,
)
def test_a_step_teaches_what_its_columns_had_of_the_softmax(
    build: Callable[..., Any], model: str, negatives: Any, settings: Any
) -> None:
    beside = {"train_batch_size": 9, "dropout": 0.0, **settings}
    network, _, loaders = build(f"{model}LearnedSystematic", negatives={**POOL, **negatives}, **beside)
    network = network.double().train()
    batch = next(iter(loaders[0]))
    state, before = network.sampler.generator.get_state(), network.sampler.running.value().clone()
    expected = 0.5 * before + 0.5 * estimate_by_hand(network, batch)
    network.sampler.generator.set_state(state)
    (1e5 * network.calculate_loss(batch)).backward()  # scaled, as for half precision
    network.after_step()
    torch.testing.assert_close(network.sampler.running.value(), expected, rtol=1e-5, atol=1e-9)


def test_several_pools_teach_as_one(build: Callable[..., Any]) -> None:
    """Pools of all items: every one is the same."""
    learned = []
    for pools in (1, 3):
        network, _, loaders = build(
            "SASRecLearnedSystematic", dropout=0.0, pools=pools, negatives={**POOL, "count": 10**6}
        )
        network.calculate_loss(next(iter(loaders[0]))).backward()
        assert len(network._pools) == pools
        network.after_step()
        learned.append(network.sampler.running.value())
    torch.testing.assert_close(*learned, rtol=1e-4, atol=1e-9)


def test_a_step_that_is_not_applied_teaches_nothing(build: Callable[..., Any]) -> None:
    learned = []
    for skipped in (0, 1):
        network, _, loaders = build("TwoTowerLearnedSystematic", negatives=POOL, train_batch_size=100)
        first, second = [batch for batch, _ in zip(loaders[0], range(2), strict=False)]
        state = network.sampler.generator.get_state()
        for _ in range(skipped):  # its gradients overflowed
            (torch.inf * network.calculate_loss(first)).backward()
            network.sampler.generator.set_state(state)
        network.calculate_loss(second).backward()
        network.after_step()
        learned.append(network.sampler.running.value())
    assert torch.equal(*learned)


def test_scores_know_nothing_of_it(build: Callable[..., Any]) -> None:
    network, _, loaders = build("SASRecLearnedSystematic", negatives=POOL)
    rows = next(iter(loaders[2]))[0]
    before = network.eval().full_sort_predict(rows)
    network.sampler.running.mass.fill_(1.0)
    network.sampler._arrange()
    assert torch.equal(network.full_sort_predict(rows), before)
    assert not any("sampler" in name for name in network.query_encoder().state_dict())


@pytest.mark.parametrize("epochs", [1, 40])
def test_a_run_too_short_to_use_what_it_learns_says_so(
    build: Callable[..., Any], caplog: pytest.LogCaptureFixture, epochs: int
) -> None:
    network, config, loaders = build("TwoTowerLearnedSystematic", epochs=epochs, train_batch_size=200)
    check_data(config, network, loaders[0])
    assert ("ends before what it learns is used" in caplog.text) == (epochs == 1)
