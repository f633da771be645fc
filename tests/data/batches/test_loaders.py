"""Training batches: segments, weights, owners."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from recbole.data.utils import create_samplers

from recbole_logq.config import Config
from recbole_logq.data import prepare
from recbole_logq.errors import RequestError

USER_FILE = {"load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"], "user": ["user_id", "gender"]}}
RATED = {"load_col": {"inter": ["user_id", "item_id", "rating", "timestamp"]}}


def test_batches_of_one_segment_hold_every_row_once(build: Callable[..., Any]) -> None:
    network, _, loaders = build("TwoTowerLogQ", segment_field="gender", train_batch_size=100, **USER_FILE)
    batches = list(loaders[0])
    assert len(batches) == len(loaders[0]) > 4
    order = []
    for batch in batches:
        assert len(batch["gender"].unique()) == 1
        order.append(int(batch["gender"][0]))
    assert len(set(order)) == 2
    assert order != sorted(order)  # segments come in random order
    table = loaders[0].dataset.inter_feat
    pairs = sorted(
        (int(u), int(i)) for batch in batches for u, i in zip(batch["user_id"], batch["item_id"], strict=True)
    )
    assert pairs == sorted(zip(table["user_id"].tolist(), table["item_id"].tolist(), strict=True))
    # The stated Q is the frequency among the segment's targets.
    rows = network.rows(batches[0])
    pool = network.sample_pool(rows)
    own = table["item_id"][loaders[0].dataset.interaction_column("gender") == rows.segment]
    share = torch.bincount(own, minlength=network.n_items) / len(own)
    torch.testing.assert_close(pool.log_q.exp(), share[pool.ids])


ON_DEVICES = """a 1 phone 1, a 1 desk 2, a 2 phone 3, a 5 phone 8, a 6 desk 9
b 1 phone 1, b 3 phone 2, b 4 desk 3, b 5 desk 8, b 6 phone 9"""
"""User, item, device, time; the last two of each user are validation and test."""


@pytest.mark.parametrize(
    ("source", "law"),
    [
        ("in_batch", {"phone": {"1": 1 / 2, "2": 1 / 4, "3": 1 / 4}, "desk": {"1": 1 / 2, "4": 1 / 2}}),
        # Half in-batch and half uniform over the six items.
        (
            "mixed",
            {
                "phone": {"1": 1 / 4 + 1 / 12, "2": 1 / 8 + 1 / 12, "3": 1 / 8 + 1 / 12, "4": 1 / 12, "6": 1 / 12},
                "desk": {"1": 1 / 4 + 1 / 12, "2": 1 / 12, "4": 1 / 4 + 1 / 12, "6": 1 / 12},
            },
        ),
    ],
)
def test_a_user_has_several_segments(tmp_path: Any, source: str, law: dict[str, dict[str, float]]) -> None:
    """The segment is the request's: a's two rows of item 1 stand in batches with different laws."""
    folder = tmp_path / "asked"
    folder.mkdir()
    rows = [row.split() for line in ON_DEVICES.splitlines() for row in line.split(", ")]
    lines = ["user_id:token\titem_id:token\tdevice:token\ttimestamp:float", *("\t".join(row) for row in rows)]
    (folder / "asked.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = {"data_path": str(tmp_path), "topk": [1], "valid_metric": "MRR@1", "segment_field": "device"}
    settings |= {"context_features": ["device"], "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}}
    settings |= {"negatives": {"source": source, "count": 2}, "train_batch_size": 4}
    config = Config("TwoTowerCorrectedLogQ", "asked", None, settings)
    dataset = prepare.create_dataset(config)
    parts = prepare.split_dataset(config, dataset)
    network = config.model_class(config, parts[0])
    seen = {}
    for batch in prepare.create_loaders(config, dataset, parts)[0]:
        made = network.rows(batch)
        (device,) = set(dataset.id2token("device", batch["device"]).tolist())
        seen[device] = set(dataset.id2token("user_id", made.users).tolist())
        pool = network.sample_pool(made)
        stated = {
            name: pool.log_q_of(torch.tensor([dataset.token2id("item_id", name)])).exp().item() for name in law[device]
        }
        assert stated == pytest.approx(law[device])
        assert pool.log_q.exp().tolist() == pytest.approx(
            [law[device].get(name, 1 / 12) for name in dataset.id2token("item_id", pool.ids).tolist()]
        )
        assert network.calculate_loss(batch).isfinite()
    assert seen == {"phone": {"a", "b"}, "desk": {"a", "b"}}


def test_without_shuffling_segments_come_one_after_the_other(build: Callable[..., Any]) -> None:
    loader = build("TwoTowerLogQ", segment_field="gender", shuffle=False, train_batch_size=100, **USER_FILE)[2][0]
    order = [int(batch["gender"][0]) for batch in loader]
    assert order == sorted(order)


@pytest.mark.parametrize(
    ("model", "settings", "message"),
    [
        ("SASRecLogQ", {"segment_field": "gender", **USER_FILE}, "only TwoTower"),
        ("TwoTowerStreamingLogQ", {"segment_field": "gender", **USER_FILE}, "those of random batches"),
        ("TwoTowerCBNS", {"segment_field": "gender", **USER_FILE}, "those of random batches"),
        ("TwoTowerLogQ", {"segment_field": "town", **RATED}, "no such column"),
        ("TwoTowerLogQ", {"segment_field": "rating", **RATED}, "typed float in the header"),
        ("TwoTowerLogQ", {"weight_field": "user_id", **RATED}, "typed token in the header"),
        ("TwoTowerLogQ", {"weight_field": "stars", **RATED}, "no such column"),
        ("TwoTowerLogQ", {"weight_field": "rating", "numerical_features": ["rating"], **RATED}, "keep one"),
    ],
)
def test_bad_columns(build: Callable[..., Any], model: str, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        build(model, **settings)


def test_asking_for_a_feature_file_keeps_the_interactions(build: Callable[..., Any]) -> None:
    loader = build("TwoTowerLogQ", segment_field="gender", load_col={"user": ["user_id", "gender"]})[2][0]
    assert len(list(loader)) == len(loader)


def test_weights_come_with_their_targets(build: Callable[..., Any]) -> None:
    """Two-tower rows and positions of windows: the same multiset of (user, item, weight)."""
    found = []
    order = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    for model in ("TwoTowerLogQ", "SASRecLogQ"):
        network, _, loaders = build(model, weight_field="rating", eval_args=order, **RATED)
        rows = [network.rows(batch) for batch in loaders[0]]
        columns = (torch.cat([getattr(one, name) for one in rows]) for name in ("users", "positives", "weights"))
        found.append(set(zip(*(column.tolist() for column in columns), strict=True)))
    assert found[1] < found[0]  # a user's first interaction is no target of a sequential model
    assert len({weight for _, _, weight in found[0]}) == 5
    assert len(found[0]) - len(found[1]) == len({user for user, _, _ in found[0]})


def test_weights_are_those_of_the_file_whatever_is_normalised(build: Callable[..., Any]) -> None:
    loader = build("TwoTowerLogQ", weight_field="rating", normalize_all=True, **RATED)[2][0]
    assert {value for batch in loader for value in batch["rating"].tolist()} == {1.0, 2.0, 3.0, 4.0, 5.0}


@pytest.mark.parametrize(
    ("weight", "found"), [("-1", "found -1"), ("", "found missing or infinite"), ("inf", "infinite")]
)
def test_impossible_weights_are_refused(
    build: Callable[..., Any], ml100k_cut: Any, tmp_path: Any, weight: str, found: str
) -> None:
    folder = tmp_path / "data" / "cut"
    folder.mkdir(parents=True)
    lines = (ml100k_cut / "cut" / "cut.inter").read_text(encoding="utf-8").splitlines()
    lines[5] = "\t".join([*lines[5].split("\t")[:2], weight, lines[5].split("\t")[3]])
    (folder / "cut.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for normalize in (False, True):
        with pytest.raises(RequestError, match=f"weights must be numbers from 0 up, .*{found}"):
            build("TwoTowerLogQ", weight_field="rating", data_path=str(folder.parent), normalize_all=normalize, **RATED)


@pytest.mark.parametrize(
    ("model", "mode", "samplers"),
    [("TwoTowerLogQ", "full", 0), ("EASE", "full", 0), ("BPR", "full", 1), ("TwoTowerLogQ", "uni50", 1)],
)
def test_recboles_samplers_are_made_where_something_draws_from_them(
    build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, model: str, mode: str, samplers: int
) -> None:
    made: list[Any] = []

    def count(*arguments: Any) -> Any:
        made.append(create_samplers(*arguments))
        return made[-1]

    monkeypatch.setattr(prepare, "create_samplers", count)
    settings = {} if model == "BPR" else {"train_neg_sample_args": None}
    _, _, (_, valid, _) = build(model, eval_args={"mode": mode}, **settings)
    assert len(made) == samplers
    assert len(list(valid)) == len(valid)


def test_segments_are_counted(build: Callable[..., Any], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    *_, loaders = build("TwoTowerLogQ", segment_field="gender", train_batch_size=100, **USER_FILE)
    sizes = loaders[0].dataset.interaction_column("gender").unique(return_counts=True)[1]
    assert f"segment_field=gender: 2 segments of {sizes.min():,} to {sizes.max():,} training rows" in caplog.text
