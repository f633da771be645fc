"""What a conversion cannot use is refused or said: rows, numbers, ids that do not meet, files inside files."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_logq.data.source.convert import FeatureTable, Report, convert
from recbole_logq.errors import RequestError

EVENTS = 'user,item,time,event,price\n1,a,1,add to cart,5.0\n2,b,2,True,2.50\n3,c,3,"say ""hi""",007\n4,d,4,,1e2\n'


def lines_of(folder: Path, source: Path | str, **options: Any) -> tuple[list[str], Report]:
    """Rows of the interactions that a conversion wrote."""
    report = convert(source, "own", data_path=folder / "datasets", overwrite=True, **options)
    file = folder / "datasets" / "own" / "own.inter"
    return file.read_text(encoding="utf-8").splitlines()[1:], report


@pytest.mark.parametrize(
    ("where", "users"),
    [
        ("price=5", "1"),
        ("price=5.00", "1"),
        ("price!=5", "234"),
        ("price=2.5", "2"),
        ("price=1e2", "4"),
        ("price=7", ""),
        ("price=007", "3"),
        ("event=true", "2"),
        ('event=say "hi"', "3"),
        ("event=add to cart", "1"),
        ("event=", "4"),
        ("event !=  add to cart", "234"),
        (["price>2", "price<inf", "event!=True"], "134"),
    ],
    ids=str,
)
def test_a_value_is_one_value_however_it_is_written(tmp_path: Path, where: str | list[str], users: str) -> None:
    (tmp_path / "log.csv").write_text(EVENTS)
    if not users:
        with pytest.raises(RequestError, match=r"has no usable row: read 4 rows; dropped 4: not price=7$"):
            lines_of(tmp_path, tmp_path / "log.csv", where=where)
        return
    rows, report = lines_of(tmp_path, tmp_path / "log.csv", where=where)
    assert "".join(row[0] for row in rows) == users
    assert report.read == report.written + sum(report.dropped.values()) == 4


def test_json_and_parquet_take_the_same_conditions(tmp_path: Path) -> None:
    rows = [{"user": n, "item": "x", "time": n, "ok": n > 1, "price": n + 0.5 * (n > 2)} for n in (1, 2, 3)]
    (tmp_path / "log.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "log.parquet")
    for name in ("log.jsonl", "log.parquet"):
        for where, users in {"price=3.50": "3", "price=1.0": "1", "ok=True": "23", "ok=false": "1"}.items():
            found, _ = lines_of(tmp_path, tmp_path / name, where=where)
            assert "".join(row[0] for row in found) == users, (name, where)


def test_conditions_on_columns_with_signs_and_conditions_that_change_nothing(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time,a=b,Event\n1,x,1,7,view\n2,y,2,8,buy\n")
    rows, report = lines_of(tmp_path, tmp_path / "log.csv", where=["a=b=7", "Event!=vew"])
    assert rows == ["1\tx\t1"]
    assert "where: Event!=vew leaves no row out" in report.notes
    for where, message in {
        "event=buy": "no column event - did you mean Event",
        "time>nan": "> compares numbers",
    }.items():
        with pytest.raises(RequestError, match=message):
            lines_of(tmp_path, tmp_path / "log.csv", where=where)


def test_rows_without_items_are_counted(tmp_path: Path) -> None:
    rows = [{"user": "a", "items": [1, 2]}, {"user": "b", "items": []}, {"user": "c", "items": None}]
    (tmp_path / "lists.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "lists.csv").write_text('user,items\na,"1 2"\nb,\nc,""\n')
    (tmp_path / "lists.txt").write_text("a 1 2\nb\nc\n")
    options: dict[str, dict[str, Any]] = {
        "lists.jsonl": {"item": "items"},
        "lists.csv": {"item": "items", "item_separator": " "},
        "lists.txt": {},
    }
    for name, more in options.items():
        found, report = lines_of(tmp_path, tmp_path / name, **more)
        assert found == ["a\t1\t1", "a\t2\t2"], name
        assert report.read == report.written + sum(report.dropped.values()) == 4, name


def test_a_damaged_first_line_is_counted_once(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n1,a\n2,b,6\n")
    found, report = lines_of(tmp_path, tmp_path / "log.csv")
    assert found == ["2\tb\t6"]
    assert (report.read, report.dropped) == (2, {"lines that do not have 3 columns": 1})


def test_numbers_that_are_none(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text('user;item;time;rating;price\n1;a;1;good;"3,5"\n2;b;2;bad;NA\n')
    (tmp_path / "items.csv").write_text("item;price;vector\na;$5.99;1 2\nb;NA;1 x\n")
    for options, message in [
        ({}, "rating of .*log.csv holds no numbers but 'good': set --keep.rating=token, or write 3.5"),
        ({"keep": {"rating": "token", "price": "float"}}, "price of .* no numbers but '3,5': set --keep.price=token"),
        ({"keep": {"rating": "token", "price": "float_seq"}}, "price of .* holds '3,5', which is no number"),
    ]:
        with pytest.raises(RequestError, match=message):
            lines_of(tmp_path, tmp_path / "log.csv", **options)
    for kept, message in {
        "price": "no numbers but '\\$5.99': set --items_keep.price=token",
        "vector": "'x', which",
    }.items():
        kind = "float" if kept == "price" else "float_seq"
        table = FeatureTable(tmp_path / "items.csv", keep={kept: kind})
        with pytest.raises(RequestError, match=message):
            lines_of(tmp_path, tmp_path / "log.csv", keep={"rating": "token"}, items=table, value_separator=" ")
    assert not (tmp_path / "datasets" / "own").exists()
    (tmp_path / "log.csv").write_text("user,item,time,rating\n1,a,1,good\n2,b,2,\n3,b,2,4\n")
    (tmp_path / "items.csv").write_text("item,price\na,free\nb,1.5\n")
    table = FeatureTable(tmp_path / "items.csv", keep={"price": "float"})
    found, report = lines_of(tmp_path, tmp_path / "log.csv", items=table)
    assert found == ["1\ta\t1\t", "2\tb\t2\t", "3\tb\t2\t4"]
    note = "rating is empty in 2 rows without a number (1 hold no number but 'good'); RecBole puts the mean there"
    assert note in report.notes
    assert report.features[0].notes == ["price is empty in some rows: 1 hold no number but 'free'"]


def test_ids_of_two_tables_that_do_not_meet(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n1,10,1\n2,11,2\n")
    (tmp_path / "users.csv").write_text("user,age\n1,30\n")
    (tmp_path / "items.csv").write_text("item,title\n10.0,A\n")
    _, report = lines_of(tmp_path, tmp_path / "log.csv", items=tmp_path / "items.csv", users=tmp_path / "users.csv")
    assert [part.notes for part in report.features] == [
        ["no id here is one of the interactions' 2 items: these are such as '10', and here '10.0'"],
        ["1 of 2 users of the interactions have no line here"],
    ]


def test_numbers_of_ids_are_names(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n1,a,1\n")
    (tmp_path / "items.csv").write_text("item,brandId,Category ID,paid,tagIds\na,5,6,7,8\n")
    lines_of(tmp_path, tmp_path / "log.csv", items=tmp_path / "items.csv")
    header = (tmp_path / "datasets" / "own" / "own.item").read_text(encoding="utf-8").splitlines()[0].split("\t")
    assert header[1:] == ["brandId:token", "Category ID:token", "paid:float", "tagIds:token"]


def test_days_that_look_like_numbers(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("user,item,time\n1,a,20240131\n2,b,20240201\n")
    found, report = lines_of(tmp_path, tmp_path / "log.csv")
    assert found == ["1\ta\t20240131", "2\tb\t20240201"]
    assert "--time_format=%Y%m%d reads them" in report.notes[0]
    (tmp_path / "log.csv").write_text("user,item,time\n1,a,20240131\n2,b,20249901\n")
    assert lines_of(tmp_path, tmp_path / "log.csv")[1].notes == []


def test_files_inside_files(tmp_path: Path) -> None:
    text = b"user,item,time\n1,a,1\n"
    (tmp_path / "log.csv").write_bytes(text)
    with zipfile.ZipFile(tmp_path / "log.zip", "w") as archive:
        archive.writestr("log.csv.gz", gzip.compress(text))
    for name, mode in {"log.tar": "w", "log.tar.gz": "w:gz"}.items():
        with tarfile.open(tmp_path / name, mode) as tar:  # type: ignore[call-overload]
            entry = tarfile.TarInfo("log.csv")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text))
    for name, inner in {"log.zip": "gzip", "log.tar": "tar", "log.tar.gz": "tar"}.items():
        with pytest.raises(RequestError, match=f"holds a {inner} file: unpack it"):
            lines_of(tmp_path, tmp_path / name)
    with pytest.raises(RequestError, match=r"^items=.*none\.csv: no such file"):
        lines_of(tmp_path, tmp_path / "log.csv", items=tmp_path / "none.csv")
    with zipfile.ZipFile(tmp_path / "parts.zip", "w") as archive:
        for name, user in {
            "log/part-10.csv": "3",
            "log/part-2.csv": "2",
            "log/old/part-1.csv": "9",
            "about": "1",
        }.items():
            archive.writestr(name, f"user,item,time\n{user},a,1\n")
    assert lines_of(tmp_path, tmp_path / "parts.zip" / "log")[0] == ["2\ta\t1", "3\ta\t1"]
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / "part-1").write_bytes(text)
    (folder / "_SUCCESS").touch()
    assert lines_of(tmp_path, f"{folder}/*")[0] == ["1\ta\t1"]
