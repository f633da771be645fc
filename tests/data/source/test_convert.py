"""Conversion of hand-made files, each line worked out by hand."""

from __future__ import annotations

import json
import re
import warnings
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow
import pytest
from pyarrow import parquet

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset
from recbole_logq.data.source.convert import Report, convert
from recbole_logq.data.source.convert import atomic_rows as module
from recbole_logq.data.source.convert.names import readable
from recbole_logq.errors import RequestError


def converted(tmp_path: Path, name: str, content: str | bytes, **options: Any) -> tuple[list[str], Report]:
    source = tmp_path / name
    source.write_bytes(content if isinstance(content, bytes) else content.encode())
    report = convert(source, "own", data_path=tmp_path / "datasets", **options)
    return (tmp_path / "datasets" / "own" / "own.inter").read_text(encoding="utf-8").splitlines(), report


def test_a_csv_with_guessed_columns(tmp_path: Path) -> None:
    text = "reviewerID,asin,overall,unixReviewTime\nanna,B1,5,1000000007\nbert,B2,3.5,1000000009\n"
    lines, report = converted(tmp_path, "reviews.csv", text)
    assert lines == [
        "user_id:token\titem_id:token\ttimestamp:float\trating:float",
        "anna\tB1\t1000000007\t5",
        "bert\tB2\t1000000009\t3.5",
    ]
    assert report.columns["user_id"] == "reviewerID (guessed by its name)"
    assert (report.read, report.written, report.dropped) == (2, 2, {})


def test_rows_left_out_are_counted_by_reason(tmp_path: Path) -> None:
    text = "user;item;when\na;x;1\n;x;2\na; ;3\na;x;later\na;x\nb;y;nan\nb;y;5\n"
    lines, report = converted(tmp_path, "table.csv", text, time="when")
    assert lines[1:] == ["a\tx\t1", "b\ty\t5"]
    assert report.read == 7
    assert report.dropped == {
        "no user_id": 1,
        "no item_id": 1,
        "no readable time": 2,
        "lines that do not have 3 columns": 1,
    }
    assert report.read == report.written + sum(report.dropped.values())


@pytest.mark.parametrize(
    ("times", "expected", "note"),
    [
        (["1700000000123", "1700000000456"], ["1700000000.123", "1700000000.456"], "milliseconds"),
        (["1700000000000001", "1700000000000002"], ["1700000000.000001", "1700000000.000002"], "microseconds"),
        (["2000-01-01", "2000-01-01T00:00:01.5Z"], ["946684800", "946684801.5"], "dates became seconds"),
        (["2000-01-01 01:00:00+01:00", "1999-12-31"], ["946684800", "946598400"], "dates"),
        (["-5", "7.25"], ["-5", "7.25"], ""),
    ],
    ids=str,
)
def test_times_become_seconds(tmp_path: Path, times: list[str], expected: list[str], note: str) -> None:
    rows = "".join(f"a,i{n},{time}\n" for n, time in enumerate(times))
    lines, report = converted(tmp_path, "t.csv", f"user_id,item_id,timestamp\n{rows}")
    assert [line.split("\t")[2] for line in lines[1:]] == expected
    assert note in " ".join(report.notes)


def test_ids_stay_as_they_are_written(tmp_path: Path) -> None:
    text = 'user_id,item_id,timestamp\n007,1e5,1\n12.50,"a, b",2\nNA,null,3\n"x\ty",z,4\n'
    lines, report = converted(tmp_path, "ids.csv", text)
    assert lines[1:] == ["007\t1e5\t1", "12.50\ta, b\t2", "NA_\tnull_\t3", "x\\ty\tz\t4"]
    assert report.dropped == {}
    assert any(
        note.startswith("names in user_id that RecBole would misread are written in another way: 2")
        for note in report.notes
    )


def test_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"uid": [1.0, 2.0, None], "iid": ["a", "b", "c"], "genre": ["x", None, "z"]})
    frame["ts"] = pd.to_datetime(["2000-01-01", "2000-01-02", "2000-01-03"], utc=True)
    frame.to_parquet(tmp_path / "in.parquet")
    report = convert(tmp_path / "in.parquet", "own", data_path=tmp_path, keep={"genre": "token"})
    lines = (tmp_path / "own" / "own.inter").read_text(encoding="utf-8").splitlines()
    assert lines[0].endswith("\tgenre:token")
    assert lines[1:] == ["1\ta\t946684800\tx", "2\tb\t946771200\t"]
    assert report.dropped == {"no user_id": 1}


def test_recbole_reads_the_very_ids_that_were_written(tmp_path: Path) -> None:
    names = ['"Heroes"', "Heroes", '"Helter', '"', "NA", "null", "None", "nan", "N/A", "a b", "007", "7", "x;y", "#1"]
    rows = "".join(f"u{n % 3},{name.replace(chr(34), chr(34) * 2)!r},{n}\n" for n, name in enumerate(names))
    rows = rows.replace("'", '"')
    _, report = converted(tmp_path, "names.csv", "user_id,item_id,timestamp\n" + rows)
    assert report.written == len(names)
    settings = {"data_path": str(tmp_path / "datasets"), "topk": [2], "valid_metric": "MRR@2"}
    dataset = create_dataset(Config("BPR", "own", None, settings))
    assert dataset.inter_num == dataset.item_num - 1 == len(names)


@pytest.mark.parametrize("form", ["csv", "sequences"])
def test_different_names_stay_different_for_recbole(tmp_path: Path, form: str) -> None:
    special = ["", "\t", "\n", "\r", '"', "\\", "\\t", "'", "\0", "NA", "_", " ", "\x0c", "\x85", "\u2028"]
    names = sorted({a + b + c for a in special for b in special for c in special if (a + b + c).strip()})
    if form == "csv":
        text = "".join('u{},"{}",{}\n'.format(n % 9, name.replace('"', '""'), n) for n, name in enumerate(names))
        text = "user,item,time\n" + text
        options = {"quote": "double"}
    else:
        names = [name for name in names if not set(name) & set(" \t\r\n")]
        text, options = "u1 " + " ".join(names) + "\nu2 NA\n", {"format": "sequences"}
    # A file may not begin like a binary one, so the rare sign comes late.
    _, report = converted(tmp_path, "names.csv", text.replace("\0", "\1"), **options)
    assert len(names) > 100
    assert report.written == len(names) + (form == "sequences")
    settings = {"data_path": str(tmp_path / "datasets"), "topk": [2], "valid_metric": "MRR@2"}
    dataset = create_dataset(Config("BPR", "own", None, settings))
    assert dataset.inter_num == report.written
    assert dataset.item_num - 1 == len(names)
    assert len({readable(name) for name in names}) == len(names)
    assert any("names in item_id that RecBole would misread" in note for note in report.notes)


def test_columns_left_out_are_listed(tmp_path: Path) -> None:
    lines, report = converted(tmp_path, "t.csv", "user,item,time,event,,rating\na,x,1,like,0,3\n")
    assert lines[0].split("\t")[3:] == ["rating:float"]
    assert report.left_out == ["event", ""]
    assert "left out   <- event, (no name) (--keep." in "\n".join(report.lines())
    rows = [{"user": n, "item": n, **({"late": 1} if n > 1500 else {})} for n in range(1600)]
    _, report = converted(tmp_path, "t.jsonl", "\n".join(map(json.dumps, rows)), overwrite=True)
    assert (report.written, report.left_out) == (1600, ["late"])


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pyarrow.array([None, datetime(2000, 1, 1)], pyarrow.timestamp("ns")), ["946684800"]),
        (pyarrow.array([datetime(2000, 1, 1)] * 2, pyarrow.timestamp("s", "Europe/Berlin")), ["946684800"] * 2),
        (pyarrow.array([date(2000, 1, 1), date(9999, 1, 1)]), ["946684800", "253370764800"]),
        (pyarrow.array([Decimal("946684800.5"), None]), ["946684800.5"]),
        (pyarrow.array(["2000-01-01", ""]).dictionary_encode(), ["946684800"]),
        (pyarrow.array([1700000000123, None]), ["1700000000.123"]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_times_of_every_type(tmp_path: Path, column: Any, expected: list[str]) -> None:
    parquet.write_table(
        pyarrow.table({"user": ["a", "b"], "item": ["x", "y"], "time": column}), tmp_path / "in.parquet"
    )
    report = convert(tmp_path / "in.parquet", "own", data_path=tmp_path)
    lines = (tmp_path / "own" / "own.inter").read_text(encoding="utf-8").splitlines()
    assert [line.split("\t")[2] for line in lines[1:]] == expected
    assert report.dropped == ({"no readable time": 1} if len(expected) == 1 else {})


def test_a_batch_without_times_decides_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 2)
    text = "user,item,time\na,x,\nb,x,\nc,x,1700000000123\nd,x,\ne,x,1700000000456\n"
    lines, report = converted(tmp_path, "t.csv", text)
    assert [line.split("\t")[2] for line in lines[1:]] == ["1700000000.123", "1700000000.456"]
    assert report.dropped == {"no readable time": 3}


def test_lists_and_further_columns(tmp_path: Path) -> None:
    table = {"user": ["a"], "item": ["x"], "genres": [["Action", "Sci-Fi"]], "a:b": [True], "v": [[1.0, 2.5]]}
    parquet.write_table(pyarrow.table(table), tmp_path / "in.parquet")
    keep = {"genres": "token_seq", "a:b": "float", "v": "float_seq"}
    convert(tmp_path / "in.parquet", "own", data_path=tmp_path, keep=keep)
    lines = (tmp_path / "own" / "own.inter").read_text(encoding="utf-8").splitlines()
    assert lines == [
        "user_id:token\titem_id:token\tgenres:token_seq\ta_b:float\tv:float_seq",
        "a\tx\tAction Sci-Fi\t1\t1 2.5",
    ]
    with pytest.raises(RequestError, match="holds lists: keep it as token_seq"):
        convert(tmp_path / "in.parquet", "two", data_path=tmp_path, keep={"genres": "token"})
    parquet.write_table(pyarrow.table({**table, "genres": [["Sci Fi"]]}), tmp_path / "in.parquet")
    with pytest.raises(RequestError, match="'Sci Fi' in a list has a blank"):
        convert(tmp_path / "in.parquet", "two", data_path=tmp_path, keep=keep)


@pytest.mark.parametrize("name", ["con", "NUL.x", "a:b", "a|b", "x.", "a\n", "", "..", "ml-100k"])
def test_names_that_no_dataset_can_have(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text("user,item\n1,2\n", encoding="utf-8")
    with pytest.raises(RequestError, match=r"^dataset="):
        convert(tmp_path / "a.csv", name, data_path=tmp_path / "data")
    assert not (tmp_path / "data").exists()


def test_no_warning_of_a_library_reaches_the_user(tmp_path: Path) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        converted(tmp_path, "a.csv", "user,item,time,rating\na,NA,2000-01-01,1\nb,x,later,x\n")


def test_integer_ids_with_gaps_stay_exact(tmp_path: Path) -> None:
    big = 2**53 + 1
    table = pyarrow.table({"uid": pyarrow.array([big, None, big + 1]), "iid": pyarrow.array([1.5, 2.0, 3.0])})
    parquet.write_table(table, tmp_path / "in.parquet")
    convert(tmp_path / "in.parquet", "own", data_path=tmp_path)
    lines = (tmp_path / "own" / "own.inter").read_text(encoding="utf-8").splitlines()
    assert lines[1:] == [f"{big}\t1.5", f"{big + 1}\t3"]


def test_a_guessed_rating_costs_no_row(tmp_path: Path) -> None:
    lines, report = converted(tmp_path, "r.csv", "user,item,rating,ts\n1,a,,1\n2,b,x,2\n3,c,4.5,3\n")
    assert lines[1:] == ["1\ta\t1\t", "2\tb\t2\t", "3\tc\t3\t4.5"]
    assert report.dropped == {}
    assert any("rating is empty" in note for note in report.notes)


def test_a_byte_order_mark_is_no_part_of_a_name(tmp_path: Path) -> None:
    lines, _ = converted(tmp_path, "s.txt", b"\xef\xbb\xbf1 a b\n2 c\n")
    assert lines[1] == "1\ta\t1"
    lines, _ = converted(tmp_path, "t.csv", b"\xef\xbb\xbf\nuser,item\n1,a\n", overwrite=True)
    assert lines == ["user_id:token\titem_id:token", "1\ta"]


def test_sequences_streamed_in_small_batches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 2)
    lines, report = converted(tmp_path, "s.txt", "7 a b a\n\n8 c\n9\n10 b c\n")
    assert lines[1:] == ["7\ta\t1", "7\tb\t2", "7\ta\t3", "8\tc\t1", "10\tb\t1", "10\tc\t2"]
    assert report.dropped == {"lines with a user and no item": 1}
    assert (report.read, report.written) == (7, 6)


def test_a_large_csv_comes_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "ROWS_PER_BATCH", 30)
    text = "user_id,item_id,timestamp\n" + "".join(f"u{n},i{n % 7},{n}\n" for n in range(500))
    lines, report = converted(tmp_path, "big.csv", text)
    assert report.written == 500
    assert lines[500] == "u499\ti2\t499"


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", "x,y\n1,2\n", {}, "has columns x, y: say which is the user with --user=COLUMN"),
        ("a.csv", "user,item,ts\n1,2,3\n", {"time": "tss"}, "no such column - did you mean ts?"),
        ("a.csv", "user,item,ts\n1,2,soon\n", {}, "'soon' are neither numbers nor ISO 8601"),
        ("a.csv", "", {}, "is empty"),
        ("a.csv", "user,item\n", {}, "has no usable row"),
        ("a.csv", b"user,item\n\xff\xfe,1\n", {}, "not text in utf-8"),
        ("a.csv", "user,item\n1,2\n", {"encoding": "foo"}, "encoding"),
        ("a.csv", "user,item\n1,2\n", {"item": "user"}, "column user would be used twice"),
        ("a.csv", "user,item\n1,2\n", {"keep": {"item": "int"}}, "one of token, float"),
        ("a.parquet", "nothing", {}, "not a readable Parquet file"),
        ("a.txt", "1 a\n1 b c\n", {}, "user '1' has two lines"),
        ("a.csv.gz", b"\x1f\x8b\x08", {}, "cannot be unpacked (gzip)"),
        ("a.csv", "user,item,user\n1,2,3\n", {}, "has 2 columns called user"),
        ("a.csv", "user,item\n1,2\n", {"encoding": "utf-16"}, "not text in utf-16"),
        ("a.bin", "one word", {}, "cannot tell what"),
        ("a.csv", "user,item\n1,2\n", {"format": "xml"}, "one of csv, json, parquet, sequences"),
        ("a.txt", "1 a\n2 b c\n", {"user": "x"}, "has no columns"),
        ("a.txt", "1 a\n2 b c\n", {"quote": "none"}, "say which is the user"),
        ("a.jsonl", '{"user": 1, "item": 2}', {"separator": ","}, "is read as json, which has none"),
        (
            "a.csv",
            "user,item,a:b,a_b\n1,2,3,4\n",
            {"keep": {"a:b": "token", "a_b": "token"}},
            "has a column a_b already",
        ),
    ],
    ids=str,
)
def test_what_does_not_fit_is_said_in_one_line(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=re.escape(message)) as caught:
        converted(tmp_path, name, content, **options)
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "datasets" / "own").exists()
    assert not list((tmp_path / "datasets").glob(".*")) if (tmp_path / "datasets").exists() else True


def test_nothing_is_written_over_unasked(tmp_path: Path) -> None:
    converted(tmp_path, "a.csv", "user,item\n1,2\n")
    with pytest.raises(RequestError, match="--overwrite=true"):
        converted(tmp_path, "b.csv", "user,item\n3,4\n")
    lines, _ = converted(tmp_path, "b.csv", "user,item\n3,4\n", overwrite=True)
    assert lines == ["user_id:token\titem_id:token", "3\t4"]
    with pytest.raises(RequestError, match="give a plain name"):
        convert(tmp_path / "a.csv", "../own", data_path=tmp_path)


@pytest.mark.parametrize("beside", ["own.item", "own.user", "own.train.inter", "own.kg"])
def test_files_of_the_old_interactions_are_not_left_beside_new_ones(tmp_path: Path, beside: str) -> None:
    converted(tmp_path, "a.csv", "user,item\n1,2\n")
    folder = tmp_path / "datasets" / "own"
    (folder / beside).write_text("item_id:token\n2\n")
    (folder / "README").write_text("anything else is nobody's business")
    with pytest.raises(RequestError, match=f"also holds {beside}, of the interactions that would be replaced"):
        converted(tmp_path, "b.csv", "user,item\n3,4\n", overwrite=True)
    assert "1\t2" in (folder / "own.inter").read_text()
    (folder / beside).rename(tmp_path / beside)  # as it says
    assert converted(tmp_path, "b.csv", "user,item\n3,4\n", overwrite=True)[0][1:] == ["3\t4"]
    (tmp_path / beside).rename(folder / beside)


@pytest.mark.parametrize("there", ["notes.txt", "own.item", ".hidden"])
@pytest.mark.parametrize("overwrite", [False, True])
def test_a_folder_that_is_no_dataset(tmp_path: Path, there: str, overwrite: bool) -> None:
    folder = tmp_path / "datasets" / "own"
    folder.mkdir(parents=True)
    (folder / there).touch()
    with pytest.raises(RequestError, match=rf"holds {there} and no own\.inter, so there is no dataset") as refusal:
        converted(tmp_path, "a.csv", "user,item\n1,2\n", overwrite=overwrite)
    assert "overwrite" not in str(refusal.value)  # which would not help
    (folder / there).unlink()  # as it says
    converted(tmp_path, "a.csv", "user,item\n1,2\n", overwrite=overwrite)


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "datasets").mkdir()
    (tmp_path / "datasets" / "own").touch()
    with pytest.raises(RequestError, match="is no folder: give another --dataset"):
        converted(tmp_path, "a.csv", "user,item\n1,2\n")
