"""The audit on data worked out by hand, and its claim about RecBole's order against RecBole itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recbole.data.dataset import Dataset, SequentialDataset

from recbole_logq.audits.time_order_audit import audit
from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, split_dataset
from recbole_logq.errors import RequestError

BASE = 978300000.0
LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
ROWS = [
    # a: ordered i1 i2 i3 i4; to RecBole the last two are one moment and i4 stands first in the file.
    ("a", "i4", BASE + 20),
    ("a", "i1", BASE - 9000),
    ("a", "i2", BASE - 8000),
    ("a", "i3", BASE + 10),
    # b: i2 i1 i3, the last two at the same time: file order decides.
    ("b", "i2", BASE),
    ("b", "i1", BASE + 5000),
    ("b", "i3", BASE + 5000),
    # c: two interactions, the second with the item again.
    ("c", "i2", BASE + 9000),
    ("c", "i2", BASE + 9500),
    # d: one interaction with an item that nobody else has.
    ("d", "i5", BASE - 1),
]


def test_by_hand(write_dataset: Callable[..., Path]) -> None:
    report = audit("tiny", None, {"data_path": str(write_dataset("tiny", ROWS))})
    assert report["size"]["interactions"] == 10
    assert report["size"]["users"] == 4
    assert report["size"]["density"] == 10 / 20
    assert report["repeats"] == {
        "interactions with an item the user had before": 1,
        "share": 0.1,
        "users who have any": 1,
    }
    order = report["order"]
    assert order["test items"] == 3  # a, b, c
    assert order["test items decided by file order (a tie right before)"] == pytest.approx(1 / 3)
    assert order["test items that differ in RecBole's order"] == pytest.approx(1 / 3)
    assert order["test items that are too early in RecBole's order"] == pytest.approx(1 / 3)
    assert order["validation items"] == 2  # a, b
    assert order["validation items that differ in RecBole's order"] == pytest.approx(1 / 2)
    # Training: a i1 i2, b i2, c i2, d i5; its last time is c's first, which only c's test item is later than.
    leakage = report["leakage"]
    assert leakage["test items earlier than some training interaction"] == pytest.approx(2 / 3)
    assert leakage["training interactions later than a test item, on average"] == pytest.approx((1 + 1 + 0) / 5 / 3)
    assert leakage["cold test items (no training interaction)"] == 2  # i4 of a, i3 of b


def test_filters_are_counted_one_by_one(write_dataset: Callable[..., Path]) -> None:
    settings = {"rm_dup_inter": "first", "user_inter_num_interval": "[2,inf)"}
    report = audit("tiny", None, {"data_path": str(write_dataset("tiny", ROWS)), **settings})
    steps = {step["filter"]: step for step in report["filters"]}
    assert steps["as read"]["interactions"] == 10
    assert steps["rm_dup_inter"]["lost interactions"] == 1
    last = steps["..._inter_num_interval"]
    assert (last["lost users"], last["lost items"], last["lost interactions"]) == (2, 1, 2)  # c and d, i5


def targets(parts: list[Any]) -> list[list[tuple[str, str]]]:
    found = []
    for part in parts:
        users = part.id2token("user_id", part.inter_feat["user_id"])
        items = part.id2token("item_id", part.inter_feat["item_id"])
        found.append([(str(user), str(item)) for user, item in zip(users, items, strict=True)])
    return found


def test_skips_are_no_interactions(write_dataset: Callable[..., Path]) -> None:
    """Of the rows above those of b at BASE + 5000 and of d are skips: b is left with one interaction, d with none."""
    folder = write_dataset("tiny", ROWS)
    file = folder / "tiny" / "tiny.inter"
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    graded = [f"{line}\t{int(n not in (5, 6, 9))}" for n, line in enumerate(lines)]
    file.write_text("\n".join([f"{head}\tgrade:float", *graded]) + "\n", encoding="utf-8")
    report = audit("tiny", None, {"data_path": str(folder), "grade_field": "grade"})
    assert report["size"]["interactions"] == 7
    kinds = ("lost interactions", "lost users", "lost items")
    lost = {step["filter"]: [step[kind] for kind in kinds] for step in report["filters"]}
    assert lost["..._inter_num_interval"] == [1, 1, 1]  # d, who took nothing
    assert lost["skips by grade_field"] == [2, 0, 0]
    assert report["order"]["test items"] == 2  # a and c
    with pytest.raises(RequestError, match="grade_field=stars: tiny has no such column"):
        audit("tiny", None, {"data_path": str(folder), "grade_field": "stars"})


@pytest.mark.slow
@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize(("model", "recboles"), [("BPR", Dataset), ("GRU4Rec", SequentialDataset)])
def test_recbole_order_is_recboles_split_item_for_item(
    ml100k_cut: Path, model: str, recboles: type[Dataset], normalize: bool
) -> None:
    settings: dict[str, Any] = {"eval_args": LAST, "normalize_all": normalize, "train_neg_sample_args": None}
    # Scaled, times are tied in float32 only where there are many of them.
    data, place = ("ml-100k", {}) if normalize else ("cut", {"data_path": str(ml100k_cut)})
    settings |= place
    if model == "BPR":
        del settings["train_neg_sample_args"]
    config = Config(model, data, None, {**settings, "recbole_order": True})
    theirs = targets(recboles(config).build())
    assert targets(split_dataset(config, create_dataset(config))) == theirs
    # The audit's share of wrong targets is what RecBole's classes really do.
    exact = Config(model, data, None, settings)
    ours = targets(split_dataset(exact, create_dataset(exact)))
    claimed = audit(data, None, {"normalize_all": normalize, **place})["order"]
    for name, part in (("test", 2), ("validation", 1)):
        own, recbole = dict(ours[part]), dict(theirs[part])
        differ = sum(own[user] != recbole[user] for user in own) / len(own)
        assert 0 < differ < 1
        assert claimed[f"{name} items that differ in RecBole's order"] == pytest.approx(differ)


def test_without_times_there_is_no_word_about_order(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    rows = "".join(f"u{n % 3}\ti{n % 5}\n" for n in range(15))
    (tmp_path / "plain" / "plain.inter").write_text("user_id:token\titem_id:token\n" + rows)
    report = audit("plain", None, {"data_path": str(tmp_path)})
    assert set(report) == {"dataset", "filters", "size", "popularity", "repeats"}


def test_positions_say_nothing_about_leakage(write_dataset: Callable[..., Path]) -> None:
    rows = [(user, item, float(n + 1)) for user in "abc" for n, item in enumerate(["i1", "i2", f"i{user}"])]
    report = audit("tiny", None, {"data_path": str(write_dataset("tiny", rows))})
    assert report["time"]["times are positions in the user's sequence, not moments"] == "yes"
    assert report["leakage"] == {"cold test items (no training interaction)": 3, "share of cold test items": 1.0}


def test_filters_do_not_make_moments_of_positions(write_dataset: Callable[..., Path]) -> None:
    rows = [(user, item, float(n + 1)) for user in "abc" for n, item in enumerate([f"i{user}", "i1", "i2", "i3"])]
    settings = {"data_path": str(write_dataset("tiny", rows)), "item_inter_num_interval": "[2,inf)"}
    report = audit("tiny", None, settings)
    assert report["filters"][-1]["lost interactions"] == 3
    assert report["time"]["times are positions in the user's sequence, not moments"] == "yes"
    assert "test items earlier than some training interaction" not in report["leakage"]


def test_users_too_short_for_a_test_set(write_dataset: Callable[..., Path]) -> None:
    for length in (1, 2):
        rows = [(f"u{user}", f"i{user + n}", float(7 * user + 3 * n)) for user in range(5) for n in range(length)]
        report = audit(f"tiny{length}", None, {"data_path": str(write_dataset(f"tiny{length}", rows))})
        assert report["order"]["validation items"] == 0
        assert report["order"]["validation items that differ in RecBole's order"] is None
        json.dumps(report, allow_nan=False)


@pytest.mark.parametrize("settings", [{"eval_args": LAST}, {"eval_args.order": "RO"}, {"model": "BPR"}], ids=str)
def test_a_split_or_a_model_is_not_audited(settings: dict[str, Any]) -> None:
    with pytest.raises(RequestError, match=next(iter(settings))):
        audit("ml-100k", None, settings)


def test_a_time_field_that_is_not_there_is_said() -> None:
    with pytest.raises(RequestError, match="TIME_FIELD=foo: ml-100k has columns user_id"):
        audit("ml-100k", None, {"TIME_FIELD": "foo"})
