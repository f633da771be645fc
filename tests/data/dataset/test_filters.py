"""Filters: what was named is what stays, what is left out is counted, and what is no filter is refused."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.config import Config
from recbole_logq.data.dataset.value_intervals import no_bound, parse_intervals, within
from recbole_logq.errors import RequestError
from recbole_logq.parsing import parse_arguments, read_yaml

LANDS = ["NO", "on", "1", "010", "1e3", "1:30", "1.0", "~", "null", "None", "NA", "2020-01-01", "=", "a b"]
WITH_LAND = "user_id:token\titem_id:token\tland:token\trating:float"
LOADED = {"load_col": {"inter": ["user_id", "item_id", "land", "rating"]}}
ITEMS = "item_id:token\tclass:token"


@pytest.fixture
def lands(log: Any, write: Callable[..., str]) -> str:
    return write([(*row[:2], LANDS[n % len(LANDS)], row[2]) for n, row in enumerate(log)], head=WITH_LAND)


def count(log: Any, *names: str) -> int:
    return sum(LANDS[n % len(LANDS)] in names for n in range(len(log)))


@pytest.mark.parametrize("name", LANDS)
def test_names_are_compared_as_they_are_written(
    lands: str, log: Any, prepare: Callable[..., Any], tmp_path: Path, name: str
) -> None:
    """On the command line, in a mapping there, and in a file."""
    other = "NO" if name != "NO" else "on"
    file = tmp_path / "filter.yaml"
    file.write_text(f"val_interval:\n  land: ['{name}', {other}]\n  rating: [1, 9]\n", encoding="utf-8")
    for given in (
        parse_arguments([f"--val_interval.land=[{name},{other}]"]),
        parse_arguments([f"--val_interval={{land: [{name}, {other}]}}"]),
        read_yaml(file),
    ):
        data, *_ = prepare("TwoTowerLogQ", lands, **LOADED, **given)
        assert data.inter_num == count(log, name, other)
        assert data.left_out == {"val_interval.land": len(log) - data.inter_num}


def test_files_keep_the_text_of_filters_alone(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("settings: {val_interval: {land: [NO, 010]}}\ntopk: [10]\nval_interval.a: [~]\nval_interval: ~\n")
    content = read_yaml(file)
    assert content["settings"] == {"val_interval": {"land": ["NO", "010"]}}
    assert content["val_interval.a"] == ["~"]
    assert content["val_interval"] is None
    assert content["topk"] == [10]


def test_whole_numbers_of_python_are_names(lands: str, log: Any, prepare: Callable[..., Any]) -> None:
    data, *_ = prepare("BPR", lands, **LOADED, val_interval={"land": [1, "NO"]})
    assert data.inter_num == count(log, "1", "NO")


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        *(
            ("rating", value, 'expected an interval such as "[5,inf)"')
            for value in ("5", "4+", "[3,4", ">3", "[4,3]", "[nan,3]", "[1,2];", "3-4", 5, True, [1, 2, 3], "[,3]")
        ),
        ("land", "NO", "give a list of them, such as [SE,NO]"),
        ("land", [], "give a list of them"),
        *(("land", [value], "write it in quotation marks") for value in (True, 1.0, None, ["NO"])),
        ("lands", ["NO"], "the files of tiny have no such column; they have user_id, item_id, land, rating"),
        ("class", ["c1"], "the column is in the .item file and not loaded; set --load_col.item=[item_id,tags,class]"),
        ("tags", ["c1"], "the column is typed token_seq"),
    ],
    ids=str,
)
def test_what_is_no_filter_is_refused(
    lands: str, write: Callable[..., str], prepare: Callable[..., Any], column: str, value: Any, message: str
) -> None:
    write([("i1", "c1", "c1 c2")], "item", f"{ITEMS}\ttags:token_seq")
    columns = {"load_col": {**LOADED["load_col"], "item": ["item_id", "tags"]}}
    with pytest.raises(RequestError) as caught:
        prepare("BPR", lands, **columns, val_interval={column: value})
    assert f"val_interval.{column}" in str(caught.value)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_name_that_no_row_has_is_said(lands: str, prepare: Callable[..., Any], caplog: Any) -> None:
    with pytest.raises(
        RequestError, match=r"no row with a user and an item is left \(left out: \d+ by val_interval\.land\)"
    ):
        prepare("BPR", lands, **LOADED, val_interval={"land": ["SE"]})
    assert "val_interval.land: no row has SE" in caplog.text


def test_intervals() -> None:
    values = [-1, 0, 2, 3, 5, 7, float("nan")]
    assert within(values, parse_intervals("[0,2];(3, 7)")).tolist() == [False, True, True, False, True, False, False]
    assert within(values, parse_intervals(" [-inf,0) ")).tolist() == [True, *[False] * 6]
    assert no_bound(None)
    assert no_bound("[0,inf)")
    assert not no_bound("(0,inf)")
    assert not no_bound("[0,5]")


@pytest.mark.parametrize("model", ["TwoTowerLogQ", "SASRecLogQ", "BPR"])
def test_interactions_of_items_without_features_stay(
    log: Any, write: Callable[..., str], prepare: Callable[..., Any], caplog: pytest.LogCaptureFixture, model: str
) -> None:
    path = write(log)
    write([(f"i{n}", f"c{n % 3}") for n in range(9)], "item", ITEMS)
    columns = {"load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]}}
    data, *_ = prepare(model, path, **columns)
    known = sum(int(row[1][1:]) < 9 for row in log)
    assert data.inter_num + (data.user_num - 1 if model.startswith("SASRec") else 0) == len(log)
    assert f"6 of 15 items have no line in the .item file: their {len(log) - known} interactions stay" in caplog.text
    missing = data.token2id("item_id", ["i9", "i14"])
    assert (data.item_feat["class"][missing] == 0).all()
    # Where it is asked for, they go; so do those whose line a filter takes out.
    data, *_ = prepare("BPR", path, **columns, filter_inter_by_user_or_item=True)
    assert data.left_out == {"filter_inter_by_user_or_item": len(log) - known}
    data, *_ = prepare("BPR", path, **columns, val_interval={"class": ["c0", "c1"]})
    gone = sum(int(row[1][1:]) in {2, 5, 8} for row in log)
    assert data.left_out == {"val_interval, through the .item file": gone}
    assert data.inter_num == len(log) - gone


WORDS = ["NA", "None", "null", "nan", "N/A", "-nan", "#N/A", "<NA>", " ", "NULL"]


@pytest.mark.parametrize("quoted", [False, True], ids=["parser in C", "parser in Python"])
@pytest.mark.parametrize("model", ["TwoTowerLogQ", "BPR"])
def test_words_for_missing_are_names_wherever_there_are_names(
    log: Any, write: Callable[..., str], prepare: Callable[..., Any], model: str, quoted: bool
) -> None:
    rows = [(WORDS[int(row[0][1:]) % 10], WORDS[int(row[1][1:]) % 10], WORDS[n % 10], n) for n, row in enumerate(log)]
    last = [("u", 'a"b', "x", 1)] if quoted else []
    path = write([*rows, *last], head="user_id:token\titem_id:token\tland:token\trating:float")
    write([(word, word, f"{word} {word}".strip()) for word in [*WORDS, "y", "z"]], "item", f"{ITEMS}\ttags:token_seq")
    write([(word, word) for word in WORDS], "user", "user_id:token\tgroup:token")
    data, parts, _ = prepare(model, path, load_col={"inter": "*", "user": "*", "item": "*"})
    assert data.inter_num == len(rows) + len(last)
    for field in ("user_id", "item_id", "land", "class", "group"):
        assert set(WORDS) <= set(data.field2id_token[field]), field
    assert {word for word in WORDS if word.strip()} <= set(data.field2id_token["tags"])
    assert all((part.inter_feat["land"] > 0).all() for part in parts)


def test_missing_numbers_are_counted_and_weights_refused(
    log: Any, write: Callable[..., str], prepare: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    columns = {"load_col": {"inter": ["user_id", "item_id", "rating"]}}
    path = write([(*row[:2], "NA" if n in (3, 4) else "" if n == 5 else row[2], row[3]) for n, row in enumerate(log)])
    prepare("TwoTowerLogQ", path, **columns)
    assert f"3 of {len(log)} rows have no rating" in caplog.text
    with pytest.raises(RequestError, match="weights must be numbers from 0 up, found missing"):
        prepare("TwoTowerLogQ", path, **columns, weight_field="rating")
    write([(*row[:2], "good" if n == 3 else row[2], row[3]) for n, row in enumerate(log)])
    with pytest.raises(RequestError, match="row 4 has 'good' in rating:float, which is no number"):
        prepare("TwoTowerLogQ", path, **columns, weight_field="rating")


@pytest.mark.parametrize("model", ["TwoTowerLogQ", "SASRecLogQ", "BPR"])
def test_columns_of_other_names(log: Any, write: Callable[..., str], prepare: Callable[..., Any], model: str) -> None:
    names = {"USER_ID_FIELD": "who", "ITEM_ID_FIELD": "what", "TIME_FIELD": "when"}
    usual, *_ = prepare(model, write(log))
    path = write(log, head="who:token\twhat:token\trating:float\twhen:float")
    other, *_ = prepare(model, path, **names)
    assert (other.inter_num, other.user_num, other.item_num) == (usual.inter_num, usual.user_num, usual.item_num)
    for given, message in (
        ({**names, "USER_ID_FIELD": "whom"}, r"USER_ID_FIELD=whom: .* but who, what, rating, when; compare"),
        ({"USER_ID_FIELD": "who"}, "ITEM_ID_FIELD=item_id: .* compare USER_ID_FIELD"),
        ({**names, "load_col": {"inter": ["user_id", "what"]}}, "load_col.inter=.*: USER_ID_FIELD=who is not among"),
        ({**names, "ITEM_ID_FIELD": "who"}, "the names of two columns"),
    ):
        with pytest.raises(RequestError, match=message):
            prepare(model, path, **given)


@pytest.mark.parametrize("head", ["user_id:token\titem_id:token_seq", "user_id:float\titem_id:token"])
def test_ids_are_typed_as_tokens(write: Callable[..., str], prepare: Callable[..., Any], head: str) -> None:
    path = write([(user, item) for user in range(9) for item in range(9)], head=head)
    with pytest.raises(
        RequestError, match=r"(user|item)_id of tiny is typed (float|token_seq): declare it as \w+:token"
    ):
        prepare("BPR", path)


def test_labels_for_nobody_are_refused(log: Any, write: Callable[..., str], prepare: Callable[..., Any]) -> None:
    for model in ("TwoTowerLogQ", "SASRecLogQ"):
        with pytest.raises(RequestError, match=r'threshold\.rating=4: .*--val_interval\.rating="\[4,inf\)"') as caught:
            Config(model, "tiny", None, {"threshold": {"rating": 4}})
        assert "--negatives.source=observed --negatives.field=rating --negatives.below=4" in str(caught.value)


def test_labels_that_nobody_reads_are_said(
    log: Any, write: Callable[..., str], prepare: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    from recbole_logq.data.prepare import check_labels

    path, columns = write(log), {"load_col": {"inter": ["user_id", "item_id", "rating"]}, "threshold": {"rating": 4}}
    data, *_ = prepare("BPR", path, **columns)
    check_labels(data, data.config)
    assert "threshold.rating=4: BPR takes every interaction for a positive here" in caplog.text
    caplog.clear()
    data, *_ = prepare("NeuMF", path, **columns, train_neg_sample_args=None)
    check_labels(data, data.config)
    assert "threshold" not in caplog.text


def test_users_without_a_target_are_counted(
    log: Any, write: Callable[..., str], prepare: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    path = write([("alone", "i1", 3, 1), *log, ("lonely", "i2", 3, 2)])
    for model in ("SASRecLogQ", "SASRec"):
        caplog.clear()
        prepare(model, path, **({"train_neg_sample_args": None} if model == "SASRec" else {}))
        assert "2 users have one interaction each, which is no target of a sequential model" in caplog.text
        assert f"{len(log) + 2} of {len(log) + 2} interactions of tiny are used" in caplog.text


# The first item of a user is no target of a sequential model.
@pytest.mark.parametrize(
    ("model", "without"), [("TwoTowerLogQ", "1 of 5"), ("SASRecLogQ", "2 of 4"), ("BPR", "1 of 5")]
)
def test_users_without_validation_are_counted(
    prepare: Callable[..., Any],
    write_dataset: Callable[..., Path],
    caplog: pytest.LogCaptureFixture,
    model: str,
    without: str,
) -> None:
    sizes = [2, 3, 3, 4, 6]
    rows = [(f"u{n}", f"i{(n + place) % 7}", place) for n, size in enumerate(sizes) for place in range(size)]
    path = str(write_dataset("tiny", rows))
    last = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}, "topk": [2], "valid_metric": "MRR@2"}
    prepare(model, path, **last)
    assert f"{without} users have a test item and none of validation" in caplog.text
    caplog.clear()
    prepare(model, path, **last, user_inter_num_interval="[4,inf)")
    assert "none of validation" not in caplog.text
