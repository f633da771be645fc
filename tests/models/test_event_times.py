"""Times in training and in evaluation: the same states for the same history, and nothing that comes later."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from recbole.data.interaction import Interaction
from torch import Tensor

from recbole_logq import evaluate, run
from recbole_logq.data.dataset.event_times import ASKED, TIMES, TOKEN_TIMES
from recbole_logq.data.dataset.exact_time import HISTORY_END
from recbole_logq.errors import RequestError
from recbole_logq.modules.times import logarithmic_edges

SMALL: dict[str, Any] = {"embedding_size": 8, "dropout": 0.0, "initializer_range": 0.5}
WAYS: list[dict[str, Any]] = [
    {"time": "gaps", "request_time": "unknown"},
    {"time": "bias", "request_time": "known", "n_layers": 1},
    {"time": "both", "request_time": "known", "positions": "relative", "block": "hstu", "n_layers": 1},
    {"time": "both", "request_time": "unknown", "bias_weights": "shared", "n_layers": 2},
    {"time": "both", "request_time": "unknown", "block": "ligr", "n_layers": 1},
]
Built = tuple[Any, Any, list[Any]]


@pytest.fixture
def made(build_drawn: Callable[..., Built]) -> Callable[..., Built]:
    return partial(build_drawn, "SASRecFullSoftmax", lambda network: network.encoder.biases, **SMALL)


def window_states(network: Any, loader: Any) -> tuple[Tensor, Tensor, Any]:
    """States of all training tokens, where the target of each lies in the sequences, and the batch."""
    index = torch.arange(loader.n_rows)
    batch = loader.batch(index)
    packing, place = loader.dataset.windows.tokens(index)
    return network.rows(batch).query.detach(), place, packing


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_a_window_has_the_states_of_evaluation(made: Callable[..., Built], settings: dict[str, Any]) -> None:
    network, _, loaders = made(**settings)
    data = loaders[0].dataset
    states, place, packing = window_states(network, loaders[0])
    rows = data[torch.arange(len(data))]
    expected = network._last_states(rows)
    by_place = torch.full((len(data.flat_items),), -1)
    by_place[rows[HISTORY_END]] = torch.arange(len(data))
    row = by_place[place]
    same = packing.position + 1 == rows["item_length"][row]  # what the window has before it is the whole of the row
    whole = same & (packing.position == 9)
    of_a_later_window = whole & (
        rows[HISTORY_END][row] - 10 > torch.searchsorted(data.flat_users, data.flat_users[place])
    )
    assert int(of_a_later_window.sum()) > 20
    torch.testing.assert_close(states[same], expected[row[same]], rtol=1e-9, atol=1e-10)
    known = rows[TIMES]
    if settings["time"] != "bias":  # the gap before a window's first item is that from the real one before it
        assert not known[row[of_a_later_window], 0].isnan().any()
    assert (ASKED in rows) == (settings["request_time"] == "known")


@pytest.mark.parametrize("settings", WAYS, ids=str)
@pytest.mark.parametrize("what", ["time", "item"])
def test_what_comes_later_changes_no_earlier_state(
    made: Callable[..., Built], settings: dict[str, Any], what: str
) -> None:
    network, config, loaders = made(**settings)
    data = loaders[0].dataset
    before, place, packing = window_states(network, loaders[0])
    changed = int(place[packing.position == 5][3])
    column = data.flat_times if what == "time" else data.flat_items
    column[changed] = float(column[changed]) + 86_400 if what == "time" else int(column[changed]) % 30 + 31
    if what == "time":
        data.__dict__.pop("times_before")
    after, _, _ = window_states(network, type(loaders[0])(config, data))
    moved = place[(before - after).abs().amax(1) > 1e-9]
    assert len(moved)
    # A state's own target may say when it is asked, where that is known, and never which item it is.
    first = changed if what == "time" and settings["request_time"] == "known" else changed + 1
    assert moved.min() == first
    assert set(data.flat_users[moved].tolist()) == {int(data.flat_users[changed])}


@pytest.mark.parametrize("settings", WAYS, ids=str)
def test_only_a_known_time_of_the_request_moves_a_test(made: Callable[..., Built], settings: dict[str, Any]) -> None:
    network, _, loaders = made(**settings)
    data = loaders[2]._dataset
    rows = torch.arange(8)
    before = network.queries(data[rows])
    position = data.inter_feat[HISTORY_END][rows]
    data.flat_times[position] += 10 * 86_400.0
    assert torch.equal(before, network.queries(data[rows])) == (settings["request_time"] == "unknown")
    data.flat_times[position] -= 10 * 86_400.0
    data.flat_items[position] = 1
    assert torch.equal(before, network.queries(data[rows]))
    data.flat_times[position - 1] -= 3600.0  # the last of the history
    assert not torch.equal(before, network.queries(data[rows]))


def test_rows_tell_no_more_than_their_protocol(made: Callable[..., Built]) -> None:
    network, _, loaders = made(time="both")
    rows = loaders[2]._dataset[torch.arange(4)]
    assert network.query_columns == ("item_id_list", "item_length", TIMES)
    assert ASKED not in rows
    batch = loaders[0].batch(torch.arange(3))
    _, event, query = batch[TOKEN_TIMES].unbind(1)
    assert torch.equal(event, query)


def test_edges_are_those_of_the_training_gaps_and_stay_with_the_weights(made: Callable[..., Built]) -> None:
    network, _, loaders = made(time="gaps", time_buckets=9)
    data = loaders[0].dataset
    longest, gaps = 0.0, []
    for user in data.inter_feat["user_id"].unique():
        ends = data.inter_feat[HISTORY_END][data.inter_feat["user_id"] == user]
        times = data.flat_times[int(ends.min()) - 1 : int(ends.max()) + 1]  # with the user's first, which is no target
        gaps.append(times.diff())
        longest = max(longest, float(times[-1] - times[0]))
    edges = network.state_dict()["encoder.buckets.edges"]
    assert edges.dtype == torch.float64
    assert edges[0] == torch.cat(gaps)[torch.cat(gaps) > 0].min()
    assert float(edges[-1]) == pytest.approx(longest)
    assert network.encoder.gaps.before.weight.shape == (10, 8)


def test_a_thousand_buckets_of_one_gap_have_edges() -> None:
    for gap in (1.0, 1e6, 2.0**53):
        edges = logarithmic_edges(torch.full((5,), gap), gap, 1024)
        assert edges[0] == gap
        assert edges.float().isfinite().all()
        assert (edges.diff() > 0).all()


def test_times_that_are_all_the_same_teach_nothing(
    write_dataset: Callable[..., Path], build: Callable[..., Built]
) -> None:
    rows = [(user, f"i{(place + shift) % 7}", 950_000_000) for shift, user in enumerate("abc") for place in range(6)]
    settings = {"data_path": str(write_dataset("cut", rows)), "topk": [2], "valid_metric": "MRR@2", "n_layers": 1}
    build("SASRecLogQ", **settings)
    with pytest.raises(RequestError, match=r"time=both: no user of cut has things at different times.*time=none"):
        build("SASRecLogQ", **settings, time="both")


@pytest.mark.parametrize(("settings", "shapes"), [({}, set()), ({"time": "bias"}, {"time"})])
def test_without_time_there_are_no_weights_of_it(made: Callable[..., Built], settings: Any, shapes: set[str]) -> None:
    network, _, _ = made(**settings)
    names = {name.split(".")[-1] for name in network.state_dict() if "biases" in name or "gaps" in name}
    assert names == shapes


def test_the_loss_falls_and_every_weight_has_a_part_in_it(
    build: Callable[..., Built], losses_on_one_batch: Callable[..., list[float]]
) -> None:
    for settings in (WAYS[1], WAYS[2]):
        network, _, loaders = build("SASRecMNSCorrectedLogQ", dropout=0.0, **settings)
        values = losses_on_one_batch(network, loaders[0])
        assert values[-1] < 0.9 * values[0]
        for name, parameter in network.named_parameters():
            assert parameter.grad is not None, name
            assert parameter.grad.to_dense().any(), name


def test_parts_of_a_batch_have_its_gradient(check_gradient_in_parts: Callable[..., None]) -> None:
    check_gradient_in_parts("SASRecFullSoftmax", 20, **SMALL, time="both", request_time="known")


def test_bfloat16_is_close(made: Callable[..., Built]) -> None:
    network, _, loaders = made(**WAYS[1])
    network = network.float()
    rows = loaders[2]._dataset[torch.arange(8)]
    whole = network.queries(rows)
    with torch.autocast("cpu", torch.bfloat16):
        rough = network.queries(rows)
        network.train().calculate_loss(loaders[0].batch(torch.arange(8))).backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())
    torch.testing.assert_close(rough.float(), whole, rtol=0.1, atol=0.2)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"time": "gaps", "recbole_order": True}, "recbole_order=true with time=gaps"),
        ({"time": "gaps", "numerical_features": ["timestamp"]}, "reads timestamp as it is in the file"),
        ({"time_buckets": 9}, "set time=gaps, bias or both too"),
        ({"bias_weights": "shared"}, "bias_weights=shared"),
        ({"bias_weights": "shared", "time": "bias", "n_layers": 1}, "bias_weights=shared"),
        ({"time": "late"}, "time='late'"),
        ({"block": "hstu", "feed_forward": "relu"}, "block=hstu has no feed-forward layer"),
        ({"block": "hstu", "norm": "post"}, "block=hstu is pre-norm"),
        ({"request_time": "guessed"}, "request_time='guessed'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(build: Callable[..., Built], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        build("SASRecFullSoftmax", **settings)


def test_a_known_time_asks_for_a_split_by_time(build: Callable[..., Built]) -> None:
    with pytest.raises(RequestError, match=r"set eval_args\.order=TO"):
        build("TwoTowerLogQ", request_time="known")


def test_a_checkpoint_that_reads_times_keeps_its_protocol(in_tmp: Path, ml100k_cut: Path) -> None:
    given: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "n_layers": 1}
    given |= {"embedding_size": 8, "MAX_ITEM_LIST_LENGTH": 10}
    known = {"time": "both", "request_time": "known"}
    reads = run("SASRecLogQ", "cut", config_dict={**given, **known})
    last = reads["checkpoint"].replace(".pth", "-last.pth")
    again = evaluate(reads["checkpoint"])
    assert again["test_result"] == reads["test_result"]
    assert again["same_protocol"]
    assert again["protocol"]["request_time"] == "known"
    with pytest.raises(RequestError, match="reads times and was trained with known; train another"):
        evaluate(reads["checkpoint"], config_dict={"request_time": "unknown"})
    # The same rows with times in another unit: the stored buckets are no longer those of the data.
    copy = in_tmp / "milliseconds" / "cut"
    shutil.copytree(ml100k_cut / "cut", copy)
    frame = pd.read_csv(copy / "cut.inter", sep="\t")
    frame["timestamp:float"] = frame["timestamp:float"].astype("int64") * 1000
    frame.to_csv(copy / "cut.inter", sep="\t", index=False)
    with pytest.raises(RequestError, match="trained on other times than the data has now, of another unit perhaps"):
        evaluate(reads["checkpoint"], config_dict={"data_path": str(copy.parent)})
    with pytest.raises(RequestError, match="trained on other times"):
        run("SASRecLogQ", "cut", config_dict={**given, **known, "data_path": str(copy.parent)}, resume=last)
    blind = run("SASRecLogQ", "cut", config_dict=given)
    assert evaluate(blind["checkpoint"], config_dict={"data_path": str(copy.parent)})["same_protocol"]
    other = evaluate(blind["checkpoint"], config_dict={"request_time": "known"})
    assert other["test_result"] == blind["test_result"]
    assert not other["same_protocol"]
    assert other["fingerprint"]["test"] != blind["fingerprint"]["test"]


def test_rows_of_recbole_s_loaders_train_alike(made: Callable[..., Built]) -> None:
    network, _, loaders = made(**WAYS[1])
    rows = loaders[0].dataset[torch.arange(5)]
    assert isinstance(rows, Interaction)
    assert network.rows(rows).query.shape == (5, 8)


@pytest.mark.slow
@pytest.mark.parametrize(
    "settings",
    [
        {"block": "hstu", "time": "both"},
        {"block": "ligr"},
        {"block": "ligr", "feed_forward": "swiglu"},
        {"inner_size": 9},
    ],
    ids=str,
)
def test_a_checkpoint_of_any_block_is_opened_again(in_tmp: Path, ml100k_cut: Path, settings: dict[str, Any]) -> None:
    shared = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "embedding_size": 8, "n_heads": 1}
    for item_features in ([], ["class"]):
        features = {"item_features": item_features, "use_item_id": False} if item_features else {}
        trained = run("SASRecLogQ", "cut", config_dict={**shared, **settings, **features, "MAX_ITEM_LIST_LENGTH": 6})
        assert evaluate(trained["checkpoint"])["test_result"] == trained["test_result"]
