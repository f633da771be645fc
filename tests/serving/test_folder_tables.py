"""Tables of a folder: what was written is read, and what would take more memory than the file has bytes is not."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from recbole_logq.errors import RequestError
from recbole_logq.serving import folder_tables as tables
from recbole_logq.serving.folder_tables import PLAINLY, read_items, read_users, write_items, write_users
from recbole_logq.serving.parquet_layout import check_layout

USERS = [f"u{n}" for n in range(5)]
SIZES = np.array([3, 0, 1, 0, 2])
OFFSETS = np.concatenate([[0], SIZES.cumsum()])
HISTORY = np.array([7, 1, 7, 2, 3, 9])


def test_what_was_written_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(tables.PLAINLY, "row_group_size", 2)  # several groups, as of millions of rows
    write_users(tmp_path / "users", USERS, (OFFSETS, HISTORY))
    users, offsets, history = read_users(tmp_path / "users", 5, 9, 6)
    assert users.to_pylist() == USERS
    assert offsets.tolist() == OFFSETS.tolist()
    assert history.tolist() == HISTORY.tolist()
    titles = ["Alien", None, "Amélie", ""]
    write_items(tmp_path / "items", ["a", "é", "", "\x1b"], titles)
    assert read_items(tmp_path / "items", 4).to_pydict() == {"item": ["a", "é", "", "\x1b"], "title": titles}
    write_users(tmp_path / "users", ["u"], (np.array([0, 0]), np.array([], dtype=np.int64)))
    assert read_users(tmp_path / "users", 1, 9, 0)[1].tolist() == [0, 0]


def changed(content: bytes, old: bytes, new: bytes, n: int = 1) -> bytes:
    """Other bytes; the length of the footer is mended where they are in it."""
    assert content.count(old) >= n
    content = content[:-8].replace(old, new, n) + content[-8:]
    length = int.from_bytes(content[-8:-4], "little") + len(new) - len(old)
    return content[:-8] + length.to_bytes(4, "little") + content[-4:]


PAGE = b"\x15\x00\x15\x06\x15\x06"  # plain values, levels in runs


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda content: changed(content, PAGE, b"\x15\x10\x15\x06\x15\x06"), "a page that is not plain"),
        (lambda content: changed(content, b",\x15\x0a" + PAGE, b",\x15\x7e" + PAGE), "pages that do not add up"),
        (lambda content: content[:4] + b"\x15\x06" + content[6:], "a page that is not plain"),
        (lambda content: b"PARE" + content[4:], "no Parquet file"),
        (lambda content: content[:-8] + b"\xff\xff\xff\x7f" + content[-4:], "no Parquet file"),
        (lambda content: content[:-8] + b"\x00\x00\x00\x00" + content[-4:], "no Parquet file"),
        (lambda content: content[:-300] + b"\x1c" * 292 + content[-8:], "too deep|twice|none of Parquet"),
    ],
    ids=["dictionary", "values", "kind", "encrypted", "long", "empty", "deep"],
)
def test_a_layout_that_lies_is_refused(tmp_path: Path, change: Callable[[bytes], bytes], reason: str) -> None:
    file = tmp_path / "users"
    write_users(file, USERS, (OFFSETS, HISTORY))
    assert check_layout(file) == 5
    content = file.read_bytes()
    file.write_bytes(change(content))
    with pytest.raises(ValueError, match=reason):
        check_layout(file)
    with pytest.raises(RequestError, match="is not as `export` has written it"):
        read_users(file, 5, 9, 6)


def test_a_footer_that_contradicts_itself_is_refused(tmp_path: Path) -> None:
    # Asked for its columns by pyarrow's `metadata`, it ends the process.
    file = tmp_path / "users"
    write_users(file, USERS, (OFFSETS, HISTORY))
    content = file.read_bytes()
    (histogram,) = re.findall(rb"\x19\x46....\x00", content, re.DOTALL)
    file.write_bytes(changed(content, histogram, b"\x19\x36" + histogram[2:5] + b"\x00"))
    assert check_layout(file) == 5
    with pytest.raises(RequestError, match="is not as `export` has written it"):
        read_users(file, 5, 9, 6)


@pytest.mark.parametrize("more", [{"compression": "gzip"}, {"use_dictionary": True}, {"store_schema": True}], ids=str)
def test_a_small_file_of_many_rows_is_refused(tmp_path: Path, more: dict[str, object]) -> None:
    file, n = tmp_path / "users", 200_000
    lists = pa.LargeListArray.from_arrays([0, *[n] * 1], pa.array([1] * n, pa.int32()))
    pq.write_table(pa.table({"user": ["u"], "history": lists}), file, **{**PLAINLY, **more})
    with pytest.raises(RequestError, match="is not as `export` has written it"):
        read_users(file, 1, 9, n)
