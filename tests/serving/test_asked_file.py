"""Files of users as programs save them, without a model."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_logq.errors import RequestError
from recbole_logq.serving.asked_file import AskedFile

CONTEXT = {"hour": "float32", "device": "token"}


def rows(path: Path, content: Any, context: dict[str, str] | None = None) -> list[Any]:
    if isinstance(content, pa.Table):
        pq.write_table(content, path)
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    (found,) = AskedFile(path, context or {}).batches(100)
    users, histories, contexts, *_ = found
    return [users, *([histories] if histories is not None else []), *([contexts] if contexts is not None else [])]


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("a.csv", "\ufeffuser\nu1\nNA\n", [["u1", "NA"]]),
        ("a.csv", "age;user\r\n3;u1\r\n\r\n4;007\r\n", [["u1", "007"]]),
        ("a.tsv", 'user\tage\n"u1\t3\nu2"\t4\n', [['"u1', 'u2"']]),
        ("a.csv", "user\nu1\n".encode("utf-16"), [["u1"]]),
        ("a.csv", 'history,user\n"50,""1,2""",x\n', [["x"], [["50", "1,2"]]]),
        ("a.csv", 'user\n"a,b"\n"c ""d"""\n', [["a,b", 'c "d"']]),
        (
            "a.jsonl",
            '{"user": 1.0, "history": [1, "b,c"]}\n{"user": "2", "history": ["3"]}',
            [["1", "2"], [["1", "b,c"], ["3"]]],
        ),
        ("a.parquet", pa.table({"user": [12345678901.0, 1.0]}), [["12345678901", "1"]]),
        ("a.parquet", pa.table({"user": [7], "history": [[1.0, 2.0]]}), [["7"], [["1", "2"]]]),
        ("a.parquet", pa.table({"user": pa.array(["u"]).dictionary_encode(), "x": [1]}), [["u"]]),
    ],
    ids=range(10),
)
def test_forms_of_a_file(tmp_path: Path, name: str, content: Any, expected: list[Any]) -> None:
    assert rows(tmp_path / name, content) == expected


@pytest.mark.parametrize("name", ["a.csv", "a.parquet"])
def test_context_in_any_order_and_what_is_not_read_is_said(
    tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    table = pa.table({"device": ["web", ""], "age": [1, 2], "hour": [12.5, None], "user": ["a", "b"]})
    content = table if name == "a.parquet" else "device,age,hour,user\nweb,1,12.5,a\n,2,,b\n"
    users, contexts = rows(tmp_path / name, content, CONTEXT)
    assert users == ["a", "b"]
    assert [str(context["hour"] or "") for context in contexts] == ["12.5", ""]
    assert [context["device"] for context in contexts] == ["web", ""]
    assert caplog.messages == [f"{tmp_path / name}: columns that are not read: age"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "user,age\nu1,1\nu2\n", "has lines that do not have 2 columns: line 3"),
        ("a.csv", "user\nu1,u2\n", "has lines that do not have 1 columns: line 2"),
        ("a.csv", 'user\nu1\n""\n', "a row has no user"),
        ("a.csv", "user,user\nu1,u2\n", "has 2 columns called user"),
        ("a.csv", "\ufeffname\nu1\n", "has no column 'user': found name"),
        ("a.csv", "user\n\xe9\n".encode("latin-1"), "is not text in utf-8"),
        ("a.csv", 'user,age\n"u1,1\nu2",3\n', "a quotation mark opens a field"),
        ("a.jsonl", '{"user": 1}\n[2]\n', "has lines that are no JSON objects: line 2"),
        ("a.jsonl", '{"user": 1}\n{"name": 2}\n', "a row has no user"),
        ("a.parquet", pa.table({"user": ["a", None]}), "a row has no user"),
        ("a.parquet", pa.table({"user": [1e16]}), "user of .* holds 1e.16 as a 64-bit float"),
        ("a.parquet", pa.table({"user": ["a"], "history": [["1", None]]}), "a list has an empty place"),
        ("a.xlsx", b"PK\x03\x04\x14\x00", "save the table as CSV"),
    ],
    ids=range(13),
)
def test_no_row_is_lost(tmp_path: Path, name: str, content: Any, message: str) -> None:
    with pytest.raises(RequestError, match=message) as caught:
        rows(tmp_path / name, content)
    assert not re.search("\n|--quote", str(caught.value))
