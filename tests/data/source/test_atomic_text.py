"""Atomic files as text, and the titles that are read so."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset
from recbole_logq.data.source.atomic_text import AtomicText
from recbole_logq.errors import RequestError
from recbole_logq.serving.titles import titles_of

ITEMS = [("i1", '12" mix'), ("i2", '"Heroes'), ("i3", "Helter"), ('"i4"', '"A ""B"""'), ("NA", "NA"), ("i6", "")]
TITLES = ['12" mix', '"Heroes', "Helter", 'A "B"', "NA", None]
TOKENS = ["i1", "i2", "i3", "i4", "NA", "i6"]


def written(folder: Path, separator: str = "\t", encoding: str = "utf-8", suffix: str = "item") -> dict[str, Any]:
    lines = [("item_id:token", "title:token_seq"), *ITEMS]
    (folder / "own").mkdir(exist_ok=True)
    text = "\n".join(separator.join(line) for line in lines)
    (folder / "own" / f"own.{suffix}").write_bytes(text.encode(encoding))
    config = {"data_path": folder / "own", "dataset": "own", "ITEM_ID_FIELD": "item_id"}
    return {**config, "field_separator": separator, "encoding": encoding.removesuffix("-sig")}


@pytest.mark.parametrize("separator", ["\t", "::", "|", "^", "||", "$$", ".,", r"\s+"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_titles_with_any_separator(tmp_path: Path, separator: str, encoding: str) -> None:
    tokens, titles = TOKENS, TITLES
    if len(separator) > 1:  # RecBole keeps the marks then
        tokens, titles = [token for token, _ in ITEMS], [title or None for _, title in ITEMS]
    assert titles_of(written(tmp_path, separator, encoding), tokens) == titles


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the first line must declare the columns"),
        (b"item_id\ttitle\n", "the first line must declare the columns"),
        (b"item_id:token\ttitle:token_seq\ni1\ta\tb\n", "line 2: 3 fields, and there are 2 columns"),
        (b"item_id:token\ttitle:token_seq\ni1\t\xe9\n", "is not text in utf-8"),
    ],
    ids=["empty", "no types", "ragged", "latin-1"],
)
def test_titles_that_cannot_be_read_are_said(
    tmp_path: Path, content: bytes, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    config = written(tmp_path)
    (tmp_path / "own" / "own.item").write_bytes(content)
    with caplog.at_level(logging.WARNING):
        assert titles_of(config, TOKENS) is None
    assert caplog.messages[0].startswith("exported without titles: ")
    assert message in caplog.messages[0]
    with pytest.raises(RequestError, match=message.split(":")[0]):
        titles_of(config, TOKENS, "title")


@pytest.mark.parametrize("separator", ["::", "||", "$$", "*"])
def test_recbole_reads_such_a_file_too(tmp_path: Path, separator: str) -> None:
    rows = [f"u{n % 4}{separator}i{n % 5}{separator}{n}" for n in range(40)]
    head = separator.join(["user_id:token", "item_id:token", "timestamp:float"])
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "own.inter").write_text("\n".join([head, *rows]) + "\n", encoding="utf-8")
    settings = {"data_path": str(tmp_path), "field_separator": separator, "topk": [2], "valid_metric": "MRR@2"}
    dataset = create_dataset(Config("BPR", "own", None, settings))
    assert (dataset.inter_num, dataset.user_num, dataset.item_num) == (40, 5, 6)


def test_a_line_stays_a_line(tmp_path: Path) -> None:
    lines = AtomicText(tmp_path / "own" / "own.item", written(tmp_path))
    assert [row[0] for row in lines.rows()] == TOKENS
