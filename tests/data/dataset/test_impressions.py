"""Graded interactions: skips are positives nowhere, and training knows what lay below each positive."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.data.batches.loaders import InteractionLoader
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.errors import RequestError

# user, item, page, grade, time; positives by hand in the comments.
ROWS = [
    ("a", "1", "r1", 1, 1.0),  # training
    ("a", "x", "r1", 0, 1.0),
    ("a", "y", "r1", 0, 1.0),
    ("a", "2", "r1", 2, 1.1),  # training, above 1, x and y
    ("a", "3", "r2", 1, 2.0),  # training, above x
    ("a", "x", "r2", 0, 2.0),
    ("a", "4", "r3", 1, 3.0),  # validation
    ("a", "y", "r3", 0, 3.0),  # at the moment of the validation target: not before it
    ("a", "5", "r4", 1, 4.0),  # test
    ("a", "z", "r4", 0, 4.0),
    ("b", "5", "r1", 1, 1.0),  # training; r1 of another user is another impression
    ("b", "1", "r1", 0, 1.0),
    ("b", "2", "r2", 2, 2.0),  # training, above 3 and x; 4 of the same page is held out
    ("b", "3", "r2", 1, 2.0),  # training, above x
    ("b", "x", "r2", 0, 2.0),
    ("b", "x", "r2", -1, 2.0),  # again, and worse: the better grade counts
    ("b", "4", "r2", 1, 3.0),  # validation
    ("b", "1", "r5", 1, 4.0),  # test
    ("c", "z", "r1", 0, 0.5),  # c skips and takes nothing
]
GRADED = {"grade_field": "grade", "impression_field": "page"}
LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO"}


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """Writer of a dataset `shown`; gives the folder of datasets."""

    def write_file(rows: list[Any] = ROWS, types: tuple[str, str] = ("token", "float")) -> str:
        folder = tmp_path / "data" / "shown"
        folder.mkdir(parents=True, exist_ok=True)
        head = f"user_id:token\titem_id:token\tpage:{types[0]}\tgrade:{types[1]}\ttimestamp:float"
        lines = [head, *("\t".join(map(str, row)) for row in rows)]
        (folder / "shown.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(folder.parent)

    return write_file


def prepare(data: str, model: str = "TwoTowerBPR", **settings: Any) -> tuple[Any, Any, list[Any]]:
    given: dict[str, Any] = {"data_path": data, "topk": [1], "valid_metric": "MRR@1", "eval_args": LEAVE_ONE_OUT}
    given |= {**GRADED, "negatives": {"source": "impression", "count": 4}} if "negatives" not in settings else {}
    config = Config(model, "shown", None, given | settings)
    dataset = create_dataset(config)
    return config, dataset, split_dataset(config, dataset)


def rows(part: Any) -> list[tuple[str, str]]:
    columns = (part.id2token(field, part.inter_feat[field]).tolist() for field in ("user_id", "item_id"))
    return list(zip(*columns, strict=True))


def below(part: Any) -> dict[tuple[str, str], set[str]]:
    """What lies below each training row, by tokens."""
    lists = part.impression_lists
    found = {}
    for row, number in zip(rows(part), lists.list_of_row.tolist(), strict=True):
        start, size = int(lists.start[number]), int(lists.size[number])
        items = part.id2token("item_id", lists.items[start : start + size]).tolist()
        assert len(items) == len(set(items))
        assert (lists.grades[start : start + size] < lists.grade[number]).all()
        found[row] = set(items)
    return found


BELOW = {
    ("a", "1"): {"x", "y"},
    ("a", "2"): {"x", "y", "1"},
    ("a", "3"): {"x"},
    ("b", "5"): {"1"},
    ("b", "2"): {"x", "3"},
    ("b", "3"): {"x"},
}


def test_skips_are_in_no_part(write: Callable[..., str]) -> None:
    train, valid, test = prepare(write())[2]
    assert set(rows(train)) == set(BELOW)
    assert set(rows(valid)) == {("a", "4"), ("b", "4")}
    assert set(rows(test)) == {("a", "5"), ("b", "1")}


def test_what_lies_below_each_training_row(write: Callable[..., str]) -> None:
    train = prepare(write())[2][0]
    assert below(train) == BELOW
    grades = {row: train.impression_lists.grade[number].item() for row, number in zip(
        rows(train), train.impression_lists.list_of_row.tolist(), strict=True
    )}  # fmt: skip
    assert grades == {**dict.fromkeys(BELOW, 1.0), ("a", "2"): 2.0, ("b", "2"): 2.0}


def test_the_log_says_how_many_rows_are_what(write: Callable[..., str], caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    prepare(write())
    assert "18 rows of shown: 8 skips, which are no positives, and 8 with 1, 2 with 2" in caplog.text
    assert (
        "training knows 6 of 8 skips; 6 of 6 training rows have lower-graded items in their impression" in caplog.text
    )


def test_under_a_random_split_training_knows_every_skip(write: Callable[..., str]) -> None:
    train = prepare(write(), eval_args={"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO"})[2][0]
    trained = {
        (user, item): (page, grade) for user, item, page, grade, _ in ROWS if (user, item) in rows(train) and grade
    }
    assert len(trained) == len(rows(train)) >= 6
    skips = {(user, item, page) for user, item, page, grade, _ in ROWS if grade <= 0}
    expected = {
        (user, item): {other for name, other, where in skips if (name, where) == (user, page)}
        | {
            other
            for (name, other), (where, lower) in trained.items()
            if (name, where) == (user, page) and lower < grade
        }
        for (user, item), (page, grade) in trained.items()
    }
    assert below(train) == expected


def test_under_a_temporal_split_the_cut_counts(write: Callable[..., str]) -> None:
    arguments = {"split": {"GTS": [1.5, 3.5]}, "order": "TO", "unseen": "keep"}
    train, valid, test = prepare(write(), eval_args=arguments)[2]
    assert below(train) == {row: BELOW[row] for row in [("a", "1"), ("a", "2"), ("b", "5")]}
    assert set(rows(valid)) == {("a", "4"), ("b", "4")}  # a user's last, which is RecBole's and the default
    assert set(rows(test)) == {("a", "5"), ("b", "1")}


def test_sequences_hold_no_skip_and_know_their_lists(write: Callable[..., str]) -> None:
    config, dataset, parts = prepare(write(), "SASRecBPR", train_batch_size=8)
    train, _, test = parts
    history = test[torch.arange(len(test))]["item_id_list"]
    names = {tuple(test.id2token("item_id", row[row > 0])) for row in history}
    assert names == {("1", "2", "3", "4"), ("5", "2", "3", "4")}
    # A user's first item is no target of a sequence, and its grade is not asked.
    expected = {row: items - {"1"} for row, items in BELOW.items() if row not in (("a", "1"), ("b", "5"))}
    assert below(train) == expected
    network = config.model_class(config, train)
    batch = network.rows(next(iter(create_loaders(config, dataset, parts)[0])))
    pool = network.sample_pool(batch)
    tokens = [dataset.id2token(field, ids).tolist() for field, ids in zip(
        ("user_id", "item_id"), (batch.users, batch.positives), strict=True
    )]  # fmt: skip
    for row, ids in zip(zip(*tokens, strict=True), pool.ids, strict=True):
        assert set(dataset.id2token("item_id", ids[ids > 0]).tolist()) == expected[row]


def test_popularity_counts_positives_alone(write: Callable[..., str]) -> None:
    config, dataset, parts = prepare(write())
    network = config.model_class(config, parts[0])
    counts = dict(zip(dataset.field2id_token["item_id"].tolist(), network.target_counts.tolist(), strict=True))
    # z is c's and a test page's: of the catalogue all the same.
    assert counts == {"[PAD]": 0, "1": 1, "2": 2, "3": 2, "5": 1, "4": 0, "x": 0, "y": 0, "z": 0}


def test_a_click_stays_where_the_item_was_skipped_before(write: Callable[..., str]) -> None:
    earlier = [("a", "3", "r1", 0, 0.5), ("a", "3", "r4", 1, 5.0)]
    train, _, test = prepare(write([*ROWS, *earlier]), rm_dup_inter="first")[2]
    assert ("a", "3") in rows(train)
    assert rows(train).count(("a", "3")) == 1
    assert ("a", "5") in rows(test)  # the repetition at 5.0 is gone
    assert below(train)[("a", "2")] == {"x", "y", "1", "3"}


def test_filters_by_counts_count_positives(write: Callable[..., str]) -> None:
    train = prepare(write(), item_inter_num_interval="[2,inf)")[2][0]
    assert set(rows(train)) == set(BELOW)
    # x, y and z have four, two and two rows, all of them skips: they leave.
    assert below(train) == {row: items - {"x", "y"} for row, items in BELOW.items()}
    with pytest.raises(RequestError, match="no row with a user and an item is left"):
        prepare(write(), user_inter_num_interval="[6,inf)")  # five positives each, and more rows


def test_grades_are_meant_as_the_file_has_them(write: Callable[..., str]) -> None:
    assert below(prepare(write(), normalize_all=True)[2][0]) == BELOW


@pytest.mark.parametrize("model", ["BPR", "Pop", "TwoTowerCorrectedLogQ"])
def test_without_impressions_skips_are_taken_out_alone(write: Callable[..., str], model: str) -> None:
    settings = {"negatives": {"source": "in_batch", "count": 4}} if "Tower" in model else {"negatives": None}
    if model in ("BPR", "Pop"):
        config = Config(model, "shown", None, {"data_path": write(), "grade_field": "grade", "eval_args": LEAVE_ONE_OUT,
                                               "topk": [1], "valid_metric": "MRR@1"})  # fmt: skip
        parts = split_dataset(config, create_dataset(config))
    else:
        parts = prepare(write(), model, grade_field="grade", **settings)[2]
    assert [set(rows(part)) for part in parts] == [
        set(BELOW), {("a", "4"), ("b", "4")}, {("a", "5"), ("b", "1")}
    ]  # fmt: skip


def test_rows_without_an_impression_have_none(write: Callable[..., str]) -> None:
    changed = [(user, item, "" if (user, page) == ("a", "r1") else page, *rest) for user, item, page, *rest in ROWS]
    found = below(prepare(write(changed))[2][0])
    assert found == {**BELOW, ("a", "1"): set(), ("a", "2"): set()}


def test_a_held_out_target_is_no_negative_by_another_row_of_its_impression(write: Callable[..., str]) -> None:
    """b skips 4 on page r2 and takes it from there later, as the target of validation."""
    train = prepare(write([*ROWS, ("b", "4", "r2", 0, 2.0), ("b", "4", "r1", 0, 1.0)]))[2][0]
    assert below(train) == {**BELOW, ("b", "5"): {"1", "4"}}  # r1 is another page


def changed(**by_column: Callable[[Any], Any]) -> list[tuple[Any, ...]]:
    names = ("user", "item", "page", "grade", "time")
    return [
        tuple(by_column.get(name, lambda v: v)(value) for name, value in zip(names, row, strict=True)) for row in ROWS
    ]


@pytest.mark.parametrize(
    ("data", "settings", "message"),
    [
        (
            {},
            {"grade_field": "stars"},
            "grade_field=stars: shown has no such column in its .inter file; it has .*grade",
        ),
        ({}, {"impression_field": "pages"}, "no such column"),
        ({"types": ("token", "token")}, {}, "declare it as grade:float"),
        ({"types": ("float", "float"), "rows": changed(page=lambda v: v[1:])}, {}, "declare it as page:token"),
        ({"rows": changed(grade=lambda v: "good" if v == 2 else v)}, {}, "good"),
        ({"rows": changed(grade=lambda v: "" if v == 2 else v)}, {}, "2 rows without a finite grade"),
        (
            {"rows": changed(grade=lambda v: 1e300 if v == 2 else v)},
            {},
            r"2 grades such as 1e\+300, which training can",
        ),
        ({"rows": changed(grade=lambda v: 1e-50 if v == 2 else v)}, {}, "2 grades such as 1e-50, which training can"),
        ({"rows": changed(page=lambda v: "")}, {}, "no row of shown has an impression, the column is empty"),
        ({"rows": changed(grade=lambda v: 1)}, {}, "one grade alone, 1"),
        ({"rows": changed(grade=lambda v: min(v, 0))}, {}, "no grade above 0"),
        ({"rows": [(*row[:2], f"p{n}", *row[3:]) for n, row in enumerate(ROWS)]}, {}, "has one item alone"),
        ({"rows": [(*row[:2], f"p{row[3]}", *row[3:]) for row in ROWS]}, {}, "all grades are equal"),
        ({"rows": [(*row[:4], row[4] + 9 * (row[3] <= 0)) for row in ROWS if row[3] < 2]}, {}, "no training row has"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_bad_data_is_one_line(
    write: Callable[..., str], data: dict[str, Any], settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=message) as refusal:
        prepare(write(**data), **settings)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"benchmark_filename": ["train", "valid", "test"]}, "ready-made split"),
        ({"recbole_order": True}, "exact time"),
        ({"numerical_features": ["grade"]}, "as it is in the file"),
        ({"negatives": {"source": "observed", "count": 4}, "grade_field": "grade"}, "a second column says no"),
        ({"context_features": ["grade"]}, "known only after the interaction"),
        ({"unload_col": {"inter": ["page"]}}, "page is needed, impression_field names it"),
    ],
    ids=str,
)
def test_settings_that_grades_do_not_go_with(write: Callable[..., str], settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        prepare(write(), **settings)


def test_batches_say_which_list_a_row_has(write: Callable[..., str]) -> None:
    config, dataset, parts = prepare(write(), train_batch_size=2)
    loader = create_loaders(config, dataset, parts)[0]
    assert isinstance(loader, InteractionLoader)
    network = config.model_class(config, parts[0])
    for batch in loader:
        made = network.rows(batch)
        pool = network.sample_pool(made)
        users, items = dataset.id2token("user_id", made.users), dataset.id2token("item_id", made.positives)
        for user, item, ids in zip(users, items, pool.ids, strict=True):
            assert set(dataset.id2token("item_id", ids[ids > 0]).tolist()) == BELOW[(user, item)]
