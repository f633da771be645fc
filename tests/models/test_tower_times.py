"""Two towers that read times: a history by hand, what training and evaluation see, and nothing that comes later."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from recbole_logq import evaluate, run
from recbole_logq.data.dataset.event_times import ASKED, TIMES
from recbole_logq.data.dataset.exact_time import HISTORY_END
from recbole_logq.data.dataset.histories import HISTORY
from recbole_logq.errors import RequestError
from recbole_logq.modules.time_context import TimeContext

LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
SMALL: dict[str, Any] = {"embedding_size": 8, "eval_args": LAST}
HISTORIES = {"user_tower": "history", "max_history": 6}
ATTENTION = {**HISTORIES, "history_pooling": "attention"}
WAYS: list[dict[str, Any]] = [
    {**HISTORIES, "time": "gaps", "request_time": "unknown"},
    {**ATTENTION, "time": "bias", "request_time": "known"},
    {**ATTENTION, "time": "both", "request_time": "unknown"},
    {**ATTENTION, "time": "both", "request_time": "known", "time_context": ["hour", "weekday"]},
]
Built = tuple[Any, Any, list[Any]]


@pytest.fixture
def made(build_drawn: Callable[..., Built]) -> Callable[..., Built]:
    return partial(build_drawn, "TwoTowerLogQ", lambda network: [network.user_tower], **SMALL)


def by_hand(network: Any, items: list[int], times: list[float], asked: float) -> Tensor:
    """The vector of a history, item by item; ``times`` has that of the item before first, NaN for none."""
    tower, learned = network.user_tower, network.user_tower.times
    table, edges = network.item_tower.embedding.weight, learned.buckets.edges

    def bucket(between: float) -> int:
        return int((edges <= between).sum())

    now = asked if learned.knows_request else times[-1]
    vectors, scores = [], []
    for place, item in enumerate(items):
        gap = times[place + 1] - times[place]
        vector = table[item]
        if learned.before is not None:
            vector = vector + learned.before.weight[len(edges) + 1 if gap != gap else bucket(gap)]
        score = torch.zeros((), dtype=vector.dtype)
        if tower.attention is not None:
            score = vector @ tower.attention.query + tower.attention.recency[len(items) - 1 - place]
            if learned.recency is not None:
                score = score + learned.recency[bucket(now - times[place + 1])]
        vectors.append(vector)
        scores.append(score)
    pooled = torch.stack(scores).softmax(0) @ torch.stack(vectors) if items else tower.empty
    if learned.request is not None:
        pooled = pooled + learned.request.weight[bucket(asked - times[-1]) if items else len(edges) + 1]
    if network.time_context is not None:
        moment = datetime.fromtimestamp(asked, UTC)
        tables = network.time_context.tables
        pooled = pooled + tables["hour"].weight[moment.hour] + tables["weekday"].weight[moment.weekday()]
    return pooled


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_training_and_test_are_the_history_by_hand(made: Callable[..., Built], settings: dict[str, Any]) -> None:
    network, _, loaders = made(**settings)
    data = loaders[0].dataset
    flat = list(zip(data.flat_users.tolist(), data.flat_items.tolist(), data.flat_times.tolist(), strict=True))

    def expected(user: int, end: int) -> Tensor:
        own = [place for place in range(end) if flat[place][0] == user]
        seen = own[-6:]
        before = [flat[own[-7]][2] if len(own) > 6 else float("nan")]
        times = before + [flat[place][2] for place in seen]
        return by_hand(network, [flat[place][1] for place in seen], times, flat[end][2])

    rows = torch.cat([torch.arange(9), torch.arange(len(data) - 9, len(data))])
    batch = loaders[0].batch(rows)
    vectors = network._user_vectors(batch)
    ends = data.inter_feat[HISTORY_END][rows].tolist()
    assert 0 in (batch[HISTORY] > 0).sum(1)  # one with an empty history among them
    for row, (user, end) in enumerate(zip(batch["user_id"].tolist(), ends, strict=True)):
        torch.testing.assert_close(vectors[row], expected(user, end), rtol=1e-9, atol=1e-10)
    test = loaders[2]._dataset.inter_feat
    block, *_ = next(iter(loaders[2]))
    vectors = network._user_vectors(block)
    for row, user in list(enumerate(block["user_id"].tolist()))[:6]:
        end = int(test[HISTORY_END][test["user_id"] == user][0])
        torch.testing.assert_close(vectors[row], expected(user, end), rtol=1e-9, atol=1e-10)
    assert (ASKED in block) == (settings["request_time"] == "known")
    assert TIMES in block


@pytest.mark.parametrize("settings", WAYS, ids=str)
@pytest.mark.parametrize("what", ["time", "item"])
def test_what_comes_later_moves_no_earlier_query(
    made: Callable[..., Built], settings: dict[str, Any], what: str
) -> None:
    network, config, loaders = made(**settings)
    data = loaders[0].dataset
    end = data.inter_feat[HISTORY_END]
    rows = torch.arange(len(data))
    before = network._user_vectors(loaders[0].batch(rows))
    changed = int(end[(data.inter_feat["user_id"] == data.inter_feat["user_id"][20])].sort().values[4])
    row = int((end == changed).nonzero())
    if what == "time":
        data.flat_times[changed] += 86_400 * 3 + 3_600
        data.inter_feat["timestamp"][row] += 86_400 * 3 + 3_600
        data.__dict__.pop("times_before")
    else:
        data.flat_items[changed] = int(data.flat_items[changed]) % 30 + 31
    after = network._user_vectors(type(loaders[0])(config, data).batch(rows))
    moved = (before - after).abs().amax(1) > 1e-9
    # A row's own target may say when it is asked, where that is known, and never which item it is.
    first = changed if what == "time" and settings["request_time"] == "known" else changed + 1
    assert moved.any()
    assert int(end[moved].min()) >= first
    if what == "item" or settings["time"] != "bias":  # a shift of all weights of attention is none
        assert int(end[moved].min()) == first
    assert set(data.inter_feat["user_id"][moved].tolist()) == {int(data.flat_users[changed])}


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_only_a_known_time_of_the_request_moves_a_test(made: Callable[..., Built], settings: dict[str, Any]) -> None:
    network, config, loaders = made(**settings)
    part, earlier = loaders[2]._dataset, [loaders[0].dataset, loaders[1]._dataset]
    before = network.queries(next(iter(loaders[2]))[0])
    later = part.inter_feat[HISTORY_END]
    part.flat_times[later] += 86_400 * 10 + 7_200
    part.inter_feat["timestamp"] += 86_400 * 10 + 7_200
    part.flat_items[later] = 1
    after = network.queries(next(iter(type(loaders[2])(config, part, earlier)))[0])
    assert torch.equal(before, after) == (settings["request_time"] == "unknown")


def test_the_hour_and_the_weekday_are_those_of_the_calendar_in_every_unit() -> None:
    moments = torch.randint(-(10**9), 4 * 10**9, (50,), generator=torch.Generator().manual_seed(1)).double()
    for unit in (1.0, 1e-3, 1e-6):
        context = TimeContext(["weekday", "hour"], unit, 3)
        found = context(moments / unit)
        for moment, vector in zip(moments.tolist(), found, strict=True):
            date = datetime.fromtimestamp(moment, UTC)
            expected = context.tables["hour"].weight[date.hour] + context.tables["weekday"].weight[date.weekday()]
            torch.testing.assert_close(vector, expected)


def test_users_with_vectors_of_their_own_know_the_hour(
    build: Callable[..., Built], losses_on_one_batch: Callable[..., list[float]]
) -> None:
    network, _, loaders = build("TwoTowerLogQ", **SMALL, request_time="known", time_context=["hour"])
    assert network.query_columns == ("user_id", ASKED)
    rows = torch.arange(5)
    batch = loaders[0].batch(rows)
    assert torch.equal(batch[ASKED], loaders[0].dataset.inter_feat["timestamp"][rows])
    before = network.queries(batch)
    batch[ASKED][:] += 3_600.0
    assert bool(((before - network.queries(batch)).abs().amax(1) > 1e-3).all())
    values = losses_on_one_batch(network, loaders[0], learning_rate=0.02)
    assert values[-1] < 0.9 * values[0]
    assert network.time_context.tables["hour"].weight.grad.any()


@pytest.mark.parametrize("mode", ["uni10", "pop10", "labeled"])
def test_drawn_candidates_are_asked_at_the_time_of_their_positive(build: Callable[..., Built], mode: str) -> None:
    settings = {
        "eval_args": {**LAST, "mode": mode},
        "request_time": "known",
        "time_context": ["hour"],
        "eval_batch_size": 64,
    }
    if mode == "labeled":
        settings["metrics"], settings["valid_metric"] = ["AUC"], "AUC"
    network, _, loaders = build("TwoTowerLogQ", embedding_size=8, **settings)
    test = loaders[2].dataset.inter_feat
    expected = dict(zip(test["user_id"].tolist(), test["timestamp"].tolist(), strict=True))
    seen = 0
    for batch in loaders[2]:
        rows = batch[0] if isinstance(batch, tuple) else batch
        assert rows[ASKED].tolist() == [expected[user] for user in rows["user_id"].tolist()]
        assert network.predict(rows).shape == (len(rows),)
        seen += len(rows)
    assert seen >= len(loaders[2].dataset)


def test_every_weight_of_times_learns(
    build: Callable[..., Built], losses_on_one_batch: Callable[..., list[float]]
) -> None:
    network, _, loaders = build("TwoTowerMNSCorrectedLogQ", **SMALL, **WAYS[3])
    values = losses_on_one_batch(network, loaders[0], learning_rate=0.02)
    assert values[-1] < 0.9 * values[0]
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.to_dense().any(), name


def test_parts_of_a_batch_have_its_gradient(check_gradient_in_parts: Callable[..., None]) -> None:
    check_gradient_in_parts("TwoTowerLogQ", 40, **SMALL, **WAYS[3])


def test_a_checkpoint_keeps_its_protocol(in_tmp: Path, ml100k_cut: Path) -> None:
    given: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, **SMALL}
    reads = run("TwoTowerLogQ", "cut", config_dict={**given, "time_context": ["hour"], "request_time": "known"})
    assert evaluate(reads["checkpoint"])["test_result"] == reads["test_result"]
    with pytest.raises(RequestError, match="reads times and was trained with known; train another"):
        evaluate(reads["checkpoint"], config_dict={"request_time": "unknown"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time": "gaps"}, "time=gaps: set user_tower=history too"),
        ({**HISTORIES, "time": "bias"}, "time=bias: set history_pooling=attention too, or time=gaps"),
        ({"time_buckets": 9}, "set time=gaps, bias or both too"),
        ({"time_context": ["hour"]}, "set request_time=known"),
        ({"time_context": ["hour", "hour"], "request_time": "known"}, "a part stands there twice"),
        ({"time_context": ["month"], "request_time": "known"}, "time_context"),
        (
            {"time_context": ["hour"], "request_time": "known", "recbole_order": True},
            "recbole_order=true with time_con",
        ),
        ({**HISTORIES, "time": "gaps", "numerical_features": ["timestamp"]}, "reads timestamp as it is in the file"),
        ({"context_features": ["timestamp"]}, "set request_time=known"),
        (
            {**HISTORIES, "context_features": ["timestamp"], "request_time": "known", "time": "gaps"},
            "timestamp is the time of the request, which time=gaps reads already",
        ),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(build: Callable[..., Built], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        build("TwoTowerLogQ", **SMALL, **settings)


def test_an_hour_needs_times_from_1970_on(write_dataset: Callable[..., Path], build: Callable[..., Built]) -> None:
    rows = [
        (user, f"i{(place * 3 + shift) % 9}", float(place)) for shift, user in enumerate("abc") for place in range(6)
    ]
    settings = {"data_path": str(write_dataset("cut", rows)), "topk": [2], "valid_metric": "MRR@2"}
    with pytest.raises(RequestError, match="do not count from 1970 on"):
        build("TwoTowerLogQ", **SMALL, **settings, request_time="known", time_context=["hour"])
