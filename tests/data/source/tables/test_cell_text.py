"""Cells as names, by type."""

from __future__ import annotations

import datetime
import decimal
import uuid
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from recbole_logq.data.source.tables.cell_text import lists_of_texts, texts
from recbole_logq.errors import RequestError

BIG = 2**53


@pytest.mark.parametrize(
    ("cells", "expected"),
    [
        (pa.array([12345678901.0, 1.0, None, float("nan"), -0.0]), ["12345678901", "1", None, None, "0"]),
        (pa.array([1.5, 1e-7, BIG - 1.0]), ["1.5", "0.0000001", str(BIG - 1)]),
        (pa.array([2.0**24 - 1, 0.1], pa.float32()), ["16777215", "0.1"]),
        (pa.array([2047.0], pa.float16()), ["2047"]),
        (pa.array([BIG + 1, None]), [str(BIG + 1), None]),
        (pa.array([2**64 - 1], pa.uint64()), [str(2**64 - 1)]),
        (pa.array([decimal.Decimal("1e30"), decimal.Decimal(7)], pa.decimal128(38, 0)), ["1" + "0" * 30, "7"]),
        (pa.array([decimal.Decimal("12.50")]), ["12.50"]),
        (pa.array([True, False]), ["true", "false"]),
        (pa.array([datetime.date(2020, 1, 2)]), ["2020-01-02"]),
        (pa.array(["a", "b", None]).dictionary_encode(), ["a", "b", None]),
        (pa.array([3.0, None]).dictionary_encode(), ["3", None]),
        (pa.array(["a"], pa.large_string()), ["a"]),
        (pa.array(["a"], pa.string_view()), ["a"]),
        (pa.array(["é".encode(), None]), ["é", None]),
        (pa.array([b"ab"], pa.binary(2)), ["ab"]),
        (pa.nulls(2), [None, None]),
        (pa.array([uuid.UUID(int=1).bytes], pa.uuid()), [str(uuid.UUID(int=1))]),
    ],
    ids=lambda value: str(getattr(value, "type", "")),
)
def test_a_name_has_all_its_digits(cells: Any, expected: list[str | None]) -> None:
    assert texts(cells, "id") == expected
    assert texts(cells.slice(1), "id") == expected[1:]


@pytest.mark.parametrize(
    "cells",
    [
        pa.array([1e16]),
        pa.array([float(BIG)]),
        pa.array([float("inf")]),
        pa.array([2.0**24], pa.float32()),
        pa.array([np.float16(2048)]),
        pa.array([b"\xff"]),
        pa.array([["a"]]),
        pa.array([{"a": 1}]),
        pa.array([datetime.timedelta(1)]),
    ],
    ids=lambda value: str(value.type),
)
def test_what_is_no_exact_name_is_refused(cells: Any) -> None:
    with pytest.raises(RequestError, match=r"^id of f\.parquet holds .*: store (them|the names) as "):
        texts(cells, "id of f.parquet")


def test_lists() -> None:
    for kind in (pa.list_(pa.float64()), pa.large_list(pa.int64()), pa.list_(pa.string())):
        cells = pa.array([[1, 2], None, [], [3]]).cast(kind)
        assert lists_of_texts(cells, "history") == [["1", "2"], None, [], ["3"]]
        assert lists_of_texts(cells.slice(1, 2), "history") == [None, []]
    with pytest.raises(RequestError, match="history: a list has an empty place"):
        lists_of_texts(pa.array([["a", None]]), "history")
