"""The parser in C against pandas' parser in Python, which RecBole uses."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recbole_logq.data.source.atomic_file import read_table
from recbole_logq.data.source.lines import count_rows, quoted_lines, uneven_lines

HEAD = "u:token\ti:token\tt:float"
# What a field may hold that one of the parsers could take for something else.
NAMES = ["a", "NA", "null", "", "None", '"', '"a"', 'a"b', '"q\tz"', '"q""z"', " ", "  a", "a ", "'", "#", "\\", "é"]
NAMES += ["\u3000", "1", "1.0", "01", "True", "\ufeff", "\u2028", "\x0b", "\x1c", "#N/A", "<NA>", "\u00a0"]
NUMBERS = ["1", "2.5", "", "NA", "978300760.123456", "1e5", "inf", "-inf", "nan", " 3", "3 ", "1_0", "True", "9.8e17"]
NUMBERS += ["12345678901234567890", "9007199254740993", "0.1", "1e-320", "1e400", "0x10", "+5", "-0", ".5", "5.", "--1"]
NUMBERS += ["0.30000000000000004", "2.2250738585072014e-308", "1234567.890123456789", "123456789.1234567891234"]
ENDS = ["\n"] * 30 + ["\r\n", "\n\n", "\r", "\n \n", "\n\t\t\n", "\n  \n", "\r\n\r\n"]


def options(columns: list[str]) -> dict[str, Any]:
    kinds = {"u:token": str, "i:token": str, "t:float": np.float64}
    return {"delimiter": "\t", "usecols": columns, "dtype": kinds, "encoding": "utf-8", "engine": "python"}


def outcome(read: Any, path: Path, columns: list[str]) -> Any:
    try:
        table = read(str(path), **options(columns))
    except (ValueError, AssertionError) as error:
        return type(error), str(error)
    # A field that a short line lacks is None to one parser and NaN to the other: missing to RecBole either way.
    plain = {name: [None if value != value else value for value in table[name].tolist()] for name in table}
    return plain, table.index.equals(pd.RangeIndex(len(table)))


def random_file(draw: random.Random, names: list[str]) -> str:
    end = "\r\n" if draw.random() < 0.2 else None
    text = HEAD + (end or "\n")
    for _ in range(draw.randint(0, 6)):
        name, other = (draw.choice(names) if draw.random() < 0.5 else draw.choice("abc") for _ in range(2))
        number = draw.choice(NUMBERS) if draw.random() < 0.2 else str(draw.randint(0, 99))
        fields = [name, other, number]
        if draw.random() < 0.05:
            fields = fields[: draw.randint(0, 2)]
        elif draw.random() < 0.05:
            fields += ["e"] * draw.randint(1, 2)
        text += "\t".join(fields) + (end or draw.choice(ENDS))
    return text if draw.random() < 0.8 else text.rstrip("\n")


@pytest.mark.parametrize("names", [NAMES, [name for name in NAMES if '"' not in name]], ids=["quoted", "unquoted"])
def test_both_parsers_read_the_same_or_say_the_same(tmp_path: Path, names: list[str]) -> None:
    draw, path = random.Random(7), tmp_path / "x.inter"
    for _ in range(250):
        path.write_bytes(random_file(draw, names).encode())
        columns = draw.choice([["u:token", "i:token", "t:float"], ["u:token", "i:token"], ["i:token", "t:float"]])
        expected = outcome(pd.read_csv, path, columns)
        assert outcome(read_table, path, columns) == expected, path.read_bytes()


@pytest.mark.parametrize(
    ("rows", "in_c"),
    [
        ("a\tx\t1\nb\ty\t2.5\n", True),
        ("a\tx\t1\r\n\r\nb\tNA\t2.5", True),
        ("a\tx\nb\ty\t2\te\n", False),
        ('a\t"x"\t1\n', False),
        ("a\tx\t9007199254740994\n", False),
    ],
)
def test_plain_files_and_only_they_are_parsed_in_c(tmp_path: Path, rows: str, in_c: bool) -> None:
    path = tmp_path / "x.inter"
    path.write_bytes(f"{HEAD}\n{rows}".encode())
    table = read_table(str(path), **options(HEAD.split("\t")))
    assert isinstance(table["u:token"].dtype, pd.CategoricalDtype) == in_c


@pytest.mark.parametrize("encoding", ["utf-8", "latin-1", "utf-16", "cp037"])
def test_encodings(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "x.inter"
    path.write_bytes(f'{HEAD}\né\t"x"\t1\nü\ty\t2\n'.encode(encoding))
    given = {**options(HEAD.split("\t")), "encoding": encoding}
    expected = pd.read_csv(path, **given)
    table = read_table(str(path), **given)
    assert table.to_numpy().tolist() == expected.to_numpy().tolist()
    assert count_rows(str(path), encoding, 2) == 2


@pytest.mark.parametrize(
    ("text", "rows"),
    [("h\na\nb\n", 2), ("h\na\nb", 2), ("h\r\na\r\n\r\nb\r\n", 2), ("h\ra\rb\r", 2), ("h", 0), ("h\n \n", 1)],
)
def test_rows_are_lines_that_are_not_empty(tmp_path: Path, text: str, rows: int) -> None:
    path = tmp_path / "x.inter"
    path.write_bytes(text.encode())
    for expected in (rows, rows - 1):
        assert count_rows(str(path), None, expected) == rows


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r", "\n\n"])
@pytest.mark.parametrize("separator", ["\t", "::", "|"])
def test_lines_with_other_numbers_of_fields(tmp_path: Path, end: str, separator: str) -> None:
    path = tmp_path / "x.inter"
    for rows, expected in (
        (["abc", "abc", "a c"], None),
        (["abc", "abcd", "ab"], (2, "line 3 has 4 of 3 fields")),
        (["ab"], (1, "line 2 has 2 of 3 fields")),
        ([" ", "abc"], (1, "line 2 has 1 of 3 fields")),
        (['a"c', "ab"], None),  # separators may stand between the marks
    ):
        text = end.join(separator.join(row) for row in ["uit", *rows])
        for last in ("", end):
            path.write_bytes((text + last).encode())
            found = uneven_lines(str(path), None, separator)
            assert found is None if expected is None else found is not None
            if found and end != "\n\n":
                assert found == expected


def test_fields_in_quotation_marks_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "x.inter"
    path.write_text('u\ti\n"a"\tb\na\t"b"\na"b\tc\n')
    assert quoted_lines(str(path), None, "\t") == 2
    path.write_text("u\ti\na\tb\n")
    assert quoted_lines(str(path), None, "\t") == 0
