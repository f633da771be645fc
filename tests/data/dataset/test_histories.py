"""Histories of training and evaluation rows hold what came before, worked out by hand and on real data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.data.dataset.histories import HISTORY, last_items
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.errors import RequestError

LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
TEMPORAL = {"split": {"GTS": [0.8, 0.1, 0.1]}}
MODEL = "TwoTowerCorrectedLogQ"

# The order of the file is not that of time, and times are tied: within a tie, the file decides.
ROWS = [
    ("a", "i4", 9.0),
    ("a", "i1", 1.0),
    ("b", "i5", 3.0),
    ("a", "i2", 1.0),
    ("a", "i1", 5.0),  # again
    ("b", "i2", 3.0),
    ("a", "i3", 5.0),
    ("b", "i1", 3.0),
    ("b", "i4", 8.0),
    ("c", "i3", 4.0),
    ("c", "i2", 2.0),
    ("c", "i1", 6.0),
]
# a: i2 after i1 (1.0), then i1, i3 (5.0), i4. b: i5, i2, i1 (3.0), i4. c: i2, i3, i1.


def loaded(path: Path, name: str, **settings: Any) -> tuple[Any, list[Any]]:
    given = {"data_path": str(path), "user_tower": "history", "topk": [2], "valid_metric": "MRR@2", **settings}
    config = Config(MODEL, name, None, given)
    dataset = create_dataset(config)
    return dataset, list(create_loaders(config, dataset, split_dataset(config, dataset)))


def named(dataset: Any, field: str, ids: list[int]) -> list[str]:
    return [str(dataset.field2id_token[field][number]) for number in ids]


def training_rows(dataset: Any, loader: Any) -> list[tuple[str, list[str], str]]:
    """User, history and target of every row of an epoch, sorted."""
    rows = []
    for batch in loader:
        users, targets = (named(dataset, field, batch[field].tolist()) for field in ("user_id", "item_id"))
        for user, history, target in zip(users, batch[HISTORY].tolist(), targets, strict=True):
            size = sum(item > 0 for item in history)
            assert not any(history[size:])  # right-padded
            rows.append((user, named(dataset, "item_id", history[:size]), target))
    return sorted(rows)


def evaluation_rows(dataset: Any, loader: Any) -> dict[str, tuple[list[str], set[str]]]:
    """User to history and targets."""
    found = {}
    for rows, _, target_rows, target_items in loader:
        for row, (user, history) in enumerate(zip(rows["user_id"].tolist(), rows[HISTORY].tolist(), strict=True)):
            targets = set(named(dataset, "item_id", target_items[target_rows == row].tolist()))
            items = named(dataset, "item_id", [item for item in history if item])
            found[named(dataset, "user_id", [user])[0]] = (items, targets)
    return found


@pytest.mark.parametrize("filter_history", [True, False])
def test_leave_one_out_by_hand(write_dataset: Callable[..., Path], filter_history: bool) -> None:
    settings = {"eval_args": LAST, "max_history": 2, "filter_history": filter_history, "train_batch_size": 2}
    dataset, loaders = loaded(write_dataset("tiny", ROWS), "tiny", **settings)
    assert training_rows(dataset, loaders[0]) == [
        ("a", [], "i1"),
        ("a", ["i1"], "i2"),
        ("a", ["i1", "i2"], "i1"),
        ("b", [], "i5"),
        ("b", ["i5"], "i2"),
        ("c", [], "i2"),
    ]
    assert evaluation_rows(dataset, loaders[1]) == {
        "a": (["i2", "i1"], {"i3"}),
        "b": (["i5", "i2"], {"i1"}),
        "c": (["i2"], {"i3"}),
    }
    assert evaluation_rows(dataset, loaders[2]) == {
        "a": (["i1", "i3"], {"i4"}),
        "b": (["i2", "i1"], {"i4"}),
        "c": (["i2", "i3"], {"i1"}),
    }


def test_with_several_targets_a_history_ends_before_the_first(write_dataset: Callable[..., Path]) -> None:
    """Training is before 4.0, validation before 6.0."""
    split = {"split": {"GTS": [4, 6]}, "targets": "all", "unseen": "keep"}
    dataset, loaders = loaded(write_dataset("tiny", ROWS), "tiny", eval_args=split, max_history=10)
    assert training_rows(dataset, loaders[0]) == [
        ("a", [], "i1"),
        ("a", ["i1"], "i2"),
        ("b", [], "i5"),
        ("b", ["i5"], "i2"),
        ("b", ["i5", "i2"], "i1"),
        ("c", [], "i2"),
    ]
    assert evaluation_rows(dataset, loaders[1]) == {"a": (["i1", "i2"], {"i1", "i3"}), "c": (["i2"], {"i3"})}
    assert evaluation_rows(dataset, loaders[2]) == {
        "a": (["i1", "i2", "i1", "i3"], {"i4"}),
        "b": (["i5", "i2", "i1"], {"i4"}),
        "c": (["i2", "i3"], {"i1"}),
    }


KEEP = {**TEMPORAL, "unseen": "keep"}


@pytest.mark.parametrize("split", [LAST, KEEP, {**KEEP, "targets": "all"}], ids=str)
def test_no_row_of_real_data_sees_its_target_or_what_came_after(ml100k_cut: Path, split: dict[str, Any]) -> None:
    """Against the times in the file, which the loaders never look at."""
    settings = {"eval_args": split, "max_history": 5, "topk": [10], "valid_metric": "MRR@10"}
    dataset, loaders = loaded(ml100k_cut, "cut", **settings)
    lines = (ml100k_cut / "cut" / "cut.inter").read_text(encoding="utf-8").splitlines()[1:]
    sequences: dict[int, list[int]] = {}
    for line in sorted(lines, key=lambda line: float(line.split("\t")[3])):  # stable
        user, item = line.split("\t")[:2]
        sequences.setdefault(dataset.token2id("user_id", user), []).append(dataset.token2id("item_id", item))

    def check(user: int, history: list[int], targets: list[int]) -> None:
        place = min(map(sequences[user].index, targets))  # no user has an item twice
        before = sequences[user][max(place - 5, 0) : place]
        assert history == before + [0] * (5 - len(before))

    n_training, n_evaluation = 0, 0
    for batch in loaders[0]:
        for user, history, item in zip(*(batch[key].tolist() for key in ("user_id", HISTORY, "item_id")), strict=True):
            check(user, history, [item])
            n_training += 1
    for loader in loaders[1:]:
        for rows, _, target_rows, targets in loader:
            for row, (user, history) in enumerate(zip(rows["user_id"].tolist(), rows[HISTORY].tolist(), strict=True)):
                check(user, history, targets[target_rows == row].tolist())
                n_evaluation += 1
    assert n_training == len(loaders[0].dataset) > 600
    assert n_evaluation > 10


def test_a_history_is_that_of_the_sequential_model(build: Callable[..., Any]) -> None:
    """The same users, targets and histories as SASRec is tested on."""
    ours = build(MODEL, user_tower="history", eval_args=LAST)[2][2]
    theirs = build("SASRecCorrectedLogQ", eval_args=LAST)[2][2]
    found = []
    for loader, field in ((ours, HISTORY), (theirs, "item_id_list")):
        histories = {}
        for rows, _, target_rows, targets in loader:
            for user, history, target in zip(rows["user_id"], rows[field], targets[target_rows.argsort()], strict=True):
                histories[int(user)] = (history.tolist(), int(target))
        found.append(histories)
    assert found[0] == found[1]
    assert len(found[0]) == 45


def test_other_models_get_no_histories(build: Callable[..., Any]) -> None:
    loaders = build(MODEL, eval_args=LAST)[2]
    assert HISTORY not in next(iter(loaders[0]))
    assert HISTORY not in next(iter(loaders[2]))[0]


def test_last_items() -> None:
    items = torch.tensor([1, 2, 3, 4, 5, 6])
    start, end = torch.tensor([0, 0, 2, 5, 6]), torch.tensor([0, 2, 6, 6, 6])
    expected = [[0, 0, 0], [1, 2, 0], [4, 5, 6], [6, 0, 0], [0, 0, 0]]
    assert last_items(items, start, end, 3).tolist() == expected


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"user_tower": "history"}, 'set --eval_args="{split: {LS: valid_and_test}, order: TO}"'),
        ({"user_tower": "history", "eval_args": {**LAST, "mode": "uni100"}}, "mode=uni100: .* set full"),
        (
            {"user_tower": "history", "eval_args": LAST, "benchmark_filename": ["a", "b", "c"]},
            "eval_args.split beside benchmark_filename: the files are the split",
        ),
        ({"max_history": 5}, "max_history=5: set user_tower=history too"),
        ({"user_tower": "history", "eval_args": LAST, "max_history": 0}, "max_history=0"),
        ({"user_tower": "mean"}, "user_tower='mean': input should be 'id' or 'history'"),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        Config(MODEL, "ml-100k", None, settings)
    assert "\n" not in str(caught.value)


def test_a_sequential_model_has_no_other_users() -> None:
    with pytest.raises(RequestError, match="unknown setting user_tower"):
        Config("SASRecLogQ", "ml-100k", None, {"user_tower": "history"})
