"""Users' files, each with what its cells are, worked out by hand."""

from __future__ import annotations

import bz2
import gzip
import lzma
import re
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_logq.data.source.tables import open_table
from recbole_logq.errors import RequestError

TABLE = "user,item\nu1,a\nu2,b\n"
ROWS = [["u1", "a"], ["u2", "b"]]


def cells(path: Path, content: bytes | str, n_rows: int = 100, **options: Any) -> tuple[list[list[Any]], list[int]]:
    """All rows of a file, and the numbers of lines that are none."""
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    bad: list[int] = []
    table = open_table(path, bad_row=lambda line, reason: bad.append(line), **options)
    rows: list[list[Any]] = []
    for batch in table.batches(table.names, n_rows):
        rows += map(list, zip(*(batch[name].to_pylist() for name in table.names), strict=True))
    return rows, bad


@pytest.mark.parametrize(
    "content",
    [
        TABLE,
        "\ufeff" + TABLE,
        TABLE.replace("\n", "\r\n"),
        TABLE.replace("\n", "\r"),
        TABLE.replace(",", ";"),
        TABLE.replace(",", "|"),
        TABLE.replace(",", "\t"),
        "\n" + TABLE.replace("\n", "\n \n\n"),
        '"user", item \n"u1",a\nu2,"b"',
        TABLE.encode("utf-16"),
        TABLE.encode("utf-32"),
        gzip.compress(TABLE.encode()),
        bz2.compress(TABLE.encode()),
        lzma.compress(TABLE.encode()),
        pa.compress(TABLE.encode(), codec="zstd", asbytes=True),
    ],
    ids=range(15),
)
def test_forms_of_one_table(tmp_path: Path, content: bytes | str) -> None:
    assert cells(tmp_path / "a.csv", content) == (ROWS, [])


@pytest.mark.parametrize(
    ("content", "options", "expected", "bad"),
    [
        # Tabs: a mark is a letter, wherever it stands.
        ('u\ti\n1\t"a\n2\tb"\n3\t"\n4\t7" x\n', {}, [["1", '"a'], ["2", 'b"'], ["3", '"'], ["4", '7" x']], []),
        ('u\ti\n1\t"a\tb"\n', {"quote": "double"}, [["1", "a\tb"]], []),
        # Commas: around a field, with commas, line breaks and doubled marks in it; a letter within one that has none.
        (
            'u,i\n1,"a, b"\n2,"a\nb"\n3,"""x"""\n4,7" x\n',
            {},
            [["1", "a, b"], ["2", "a\nb"], ["3", '"x"'], ["4", '7" x']],
            [],
        ),
        ('u,i\n1,"Heroes" live\n2,b\n', {"quote": "none"}, [["1", '"Heroes" live'], ["2", "b"]], []),
        ("u,i\n1,'a,b'\n", {"quote": "single"}, [["1", "a,b"]], []),
        ('u,i\n1,"a\n2,b"\n', {"quote": "double"}, [["1", "a\n2,b"]], []),
        ('u::i\n1::a:b\n2::"c\n', {"separator": "::"}, [["1", "a:b"], ["2", '"c']], []),
        ("u||i\n1||a|b\n", {"separator": "||"}, [["1", "a|b"]], []),
        ("u\ti\n1\ta,b\n", {"separator": "\\t"}, [["1", "a,b"]], []),
        # Lines that are no rows are told with their numbers.
        ('u,i\n1\n1,2,3\n"a\nb",5\n6\n', {}, [["a\nb", "5"]], [2, 3, 6]),
        ("u,i\nNA,null\n007,1e5\n,\n a,b \n", {}, [["NA", "null"], ["007", "1e5"], ["", ""], [" a", "b "]], []),
    ],
    ids=range(11),
)
def test_quotation_marks_and_separators(
    tmp_path: Path, content: str, options: dict[str, Any], expected: list[list[str]], bad: list[int]
) -> None:
    for n_rows in (1, 100):
        assert cells(tmp_path / "a.txt", content, n_rows, **options) == (expected, bad)


@pytest.mark.parametrize(
    ("name", "content", "options", "message"),
    [
        ("a.csv", 'u,i\n1,"a\n2,b\n3,c"\n', {}, "line 2: a quotation mark opens a field that goes on to line 4"),
        ("a.csv", 'u,i\n1,"a\n2,b\n', {}, "line 2: a quotation mark opens a field that nothing ends; set --quote=none"),
        ("a.csv", 'u,i\n1,b\n2,"a" b\n', {}, "line 3: a field goes on after the quotation mark that ends it"),
        ("a.csv", 'u,i\n1,"a" b\n', {"has_options": False}, "has each of its own twice"),
        ("a.csv", "u,i\n1,2\n", {"quote": "'"}, "one of double, single, none"),
        ("a.csv", "u,i\n1,2\n", {"separator": '"'}, "separator="),
        ("a.csv", "u::i\n", {"separator": "::", "quote": "double"}, "with a separator of several characters"),
        ("a.csv", " \n\n", {}, "is empty"),
        ("a.csv", "u,é\n".encode("latin-1"), {}, "is not text in utf-8"),
        ("a.csv", b"u,i\n" + b"1,2\n" * 40_000 + b"\xff,2\n", {}, "is not text in utf-8"),
        ("a.csv", TABLE.encode("utf-16-le"), {}, "is not text in utf-8"),
        ("a.csv", TABLE, {"encoding": "rot13"}, "is not text in rot13"),
        ("a.csv", gzip.compress(TABLE.encode() * 99)[:-9], {}, "cannot be unpacked (gzip)"),
        ("a.csv", b"PK\x03\x04\x14\x00", {}, "cannot be unpacked (zip)"),
        ("a.csv", b"ARROW1\0\0", {}, "write it as Parquet"),
        ("a.json", "[1, 2]", {}, "this JSON has no object a line"),
        ("a.json", '{\n"user": 1}', {}, "this JSON has no object a line"),
        ("a.jsonl", '{"user": {"id": 1}}', {}, "line 1: user holds more than values"),
        ("a.jsonl", '{"user": [1]}\n{"user": 2}', {}, "line 2: user is a list elsewhere"),
        ("a.jsonl", '{"user": "\\ud800"}', {}, "which is half a character"),
        ("a.parquet", "text", {}, "is not a readable Parquet file"),
        ("a.csv", b"PAR1\0\0\0\0", {}, "is not a readable Parquet file"),
    ],
    ids=range(22),
)
def test_what_is_refused_in_one_line(
    tmp_path: Path, name: str, content: str | bytes, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RequestError, match=re.escape(message)) as caught:
        cells(tmp_path / name, content, **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_json_lines_keep_their_digits(tmp_path: Path, name: str) -> None:
    lines = ['{"id": 12345678901.0, "x": "1.0"}', "", '{"id": 12345678901234567890123, "x": null}', "broken", "[1]"]
    lines += ['{"id": 1.50, "x": true, "late": [1, 2.0, "a"]}', '{"x": 3e2}']
    rows, bad = cells(tmp_path / name, "\n".join(lines))
    assert rows == [
        ["12345678901", "1.0", None],
        ["12345678901234567890123", None, None],
        ["1.50", "true", ["1", "2", "a"]],
        [None, "300", None],
    ]
    assert bad == [4, 5]


def test_parquet_is_known_by_its_content(tmp_path: Path) -> None:
    pq.write_table(pa.table({"user": [1, None]}), tmp_path / "a.csv")
    table = open_table(tmp_path / "a.csv", bad_row=lambda line, reason: None)
    assert [batch["user"].to_pylist() for batch in table.batches(["user"], 1)] == [[1], [None]]
