"""Exact time: rows that RecBole's float32 confuses, ties, and RecBole's own order on request."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, split_dataset
from recbole_logq.errors import RequestError

# One float32 step is 64 s at this time: the last three interactions of user a are one moment to RecBole.
BASE = 978300000
ROWS = [
    ("a", "i5", BASE + 30.0),  # last in time, first in the file
    ("a", "i1", BASE - 5000.0),
    ("a", "i4", BASE + 20.0),
    ("a", "i2", BASE - 4000.0),
    ("a", "i3", BASE + 10.0),
    ("b", "i2", BASE + 7.0),
    ("b", "i1", BASE + 7.0),  # a tie: file order decides
    ("b", "i3", BASE + 7.0),
    ("b", "i4", BASE - 3.0),
]


def targets(data_path: Path, model: str, **settings: Any) -> list[dict[str, list[str]]]:
    given = {"data_path": str(data_path), "topk": [2], "valid_metric": "MRR@2", **settings}
    config = Config(model, "tiny", None, given)
    dataset = create_dataset(config)
    parts = []
    for part in split_dataset(config, dataset):
        found: dict[str, list[str]] = {}
        users = part.id2token(part.uid_field, part.inter_feat[part.uid_field])
        items = part.id2token(part.iid_field, part.inter_feat[part.iid_field])
        for user, item in zip(users, items, strict=True):
            found.setdefault(str(user), []).append(str(item))
        parts.append(found)
    return parts


@pytest.mark.parametrize("model", ["SASRec", "GRU4Rec", "SASRecCorrectedLogQ"])
def test_leave_one_out_takes_the_last_in_time(write_dataset: Callable[..., Path], model: str) -> None:
    train, valid, test = targets(write_dataset("tiny", ROWS), model, train_neg_sample_args=None)
    assert train == {"a": ["i2", "i3"], "b": ["i2"]}
    assert valid == {"a": ["i4"], "b": ["i1"]}
    assert test == {"a": ["i5"], "b": ["i3"]}


@pytest.mark.parametrize("model", ["BPR", "Pop", "TwoTowerCorrectedLogQ"])
def test_general_models_too(write_dataset: Callable[..., Path], model: str) -> None:
    order = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    train, valid, test = targets(write_dataset("tiny", ROWS), model, eval_args=order)
    assert train == {"a": ["i1", "i2", "i3"], "b": ["i4", "i2"]}
    assert valid == {"a": ["i4"], "b": ["i1"]}
    assert test == {"a": ["i5"], "b": ["i3"]}


@pytest.mark.parametrize("model", ["GRU4Rec", "SASRecCorrectedLogQ"])
def test_recbole_order_on_request_is_recboles_own(write_dataset: Callable[..., Path], model: str) -> None:
    _, _, test = targets(write_dataset("tiny", ROWS), model, recbole_order=True, train_neg_sample_args=None)
    # The three late interactions are equal in float32, so the last one in the file wins: not the last in time.
    assert test["a"] == ["i3"]


def test_duplicates_are_removed_in_exact_order(write_dataset: Callable[..., Path]) -> None:
    rows = [*ROWS, ("b", "i2", BASE + 9.0)]
    settings = {"rm_dup_inter": "last", "train_neg_sample_args": None}
    _, _, test = targets(write_dataset("tiny", rows), "SASRecCorrectedLogQ", **settings)
    assert test["b"] == ["i2"]


@pytest.mark.parametrize("scale", [1e-3, 1000.0, 1e6])
@pytest.mark.parametrize("shift", [0.0, -3e9])
def test_any_unit_and_negative_times_keep_the_order(
    write_dataset: Callable[..., Path], scale: float, shift: float
) -> None:
    rows = [(user, item, (time + shift) * scale) for user, item, time in ROWS]
    _, _, test = targets(write_dataset("tiny", rows), "SASRecCorrectedLogQ")
    assert test == {"a": ["i5"], "b": ["i3"]}


def test_times_that_are_no_numbers_are_refused(write_dataset: Callable[..., Path]) -> None:
    path = write_dataset("tiny", [("a", "i1", "2000-01-01"), *ROWS])  # type: ignore[list-item]
    with pytest.raises(RequestError, match=r"cannot load tiny: .*timestamp:float"):
        targets(path, "SASRecCorrectedLogQ")


@pytest.mark.parametrize(
    ("time", "message"),
    [(float("nan"), "1 interactions of tiny have no finite"), (float("inf"), "no finite"), (9.8e17, "beyond 2^53")],
)
def test_times_without_an_exact_order_are_refused(
    write_dataset: Callable[..., Path], time: float, message: str
) -> None:
    rows = [*ROWS, ("b", "i5", time)]
    with pytest.raises(RequestError, match=re.escape(message)):
        targets(write_dataset("tiny", rows), "SASRecCorrectedLogQ")


def test_lines_swallowed_by_a_quotation_mark_are_said(write_dataset: Callable[..., Path]) -> None:
    path = write_dataset("tiny", [("a", '"i1', 1.0), *ROWS, ("b", '"', 2.0), ("b", "i2", 3.0)])
    with pytest.raises(RequestError, match="has 12 rows and RecBole reads"):
        targets(path, "SASRecCorrectedLogQ")


def test_empty_names_are_said(write_dataset: Callable[..., Path], caplog: pytest.LogCaptureFixture) -> None:
    targets(write_dataset("tiny", [*ROWS, ("a", "", 1.0), ("", "i1", 2.0)]), "SASRecCorrectedLogQ")
    assert "2 interactions have no user or no item" in caplog.text


def test_time_as_text_is_refused(write_dataset: Callable[..., Path]) -> None:
    with pytest.raises(RequestError, match="timestamp:float"):
        targets(write_dataset("tiny", ROWS, time_type="token"), "SASRecCorrectedLogQ")
