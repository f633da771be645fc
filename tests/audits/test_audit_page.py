"""The audit from the command line: terminal, JSON and a page of its own."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import pytest

from recbole_logq.audits.audit_page import audit_page, readable
from recbole_logq.cli import main


class _Cells(HTMLParser):
    """Text of all table cells; every tag must be closed."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.open: list[str] = []
        self.outside: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.outside += [str(value) for name, value in attrs if name in {"src", "href"}]
        if tag != "meta":
            self.open.append(tag)
        if tag in {"td", "th"}:
            self.cells.append("")

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] in {"td", "th"}:
            self.cells[-1] += data


def test_command_json_and_page_say_the_same(in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["audit", "--dataset=cut", f"--data_path={ml100k_cut}", "--item_inter_num_interval=[2,inf)"]
    assert main([*words, "--output=audit.json", "--page=audit.html"]) == 0
    report = json.loads((in_tmp / "audit.json").read_text(encoding="utf-8"))
    parser = _Cells()
    text = (in_tmp / "audit.html").read_text(encoding="utf-8")
    parser.feed(text)
    assert not parser.open
    assert not parser.outside
    assert "://" not in text
    printed = capsys.readouterr().out
    assert report["filters"][-1]["lost items"] > 0
    for section, values in report.items():
        if section in {"dataset", "filters"}:
            continue
        for name, value in values.items():
            assert (name, readable(name, value)) in set(pairwise(parser.cells))
            assert readable(name, value) in printed


def test_a_name_cannot_break_the_page() -> None:
    steps = [{"filter": "as read", "interactions": 1}]
    text = audit_page({"dataset": "<script>alert(1)</script>", "filters": steps, "size": {"interactions": 1}})
    assert "<script>alert" not in text
    assert text.count("<script") == 1  # the page's own


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("interactions", 1234567, "1,234,567"),
        ("density", 0.0446836, "4.47 %"),
        ("share", 0.5, "50.00 %"),
        ("test items that differ in RecBole's order", 0.19718, "19.72 %"),
        ("Gini index of item counts", 0.62899, "0.629"),
        ("first", "0", "0"),
    ],
)
def test_values_as_text(name: str, value: object, text: str) -> None:
    assert readable(name, value) == text


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["audit"], "set --dataset=NAME"),
        (["audit", "--dataset=ml-100k", "--page=no/such.html"], "--page=no/such.html: cannot write there"),
        (["audit", "--dataset=ml-100k", "--eval_args.order=RO"], "eval_args"),
        (["audit", "--dataset=nope"], "no data set 'nope'"),
        (["compare"], "compare needs models and a dataset"),
        (["compare", "--results=a.json"], "cannot read a.json"),
        (["convert", "--dataset=x"], "set --input=FILE"),
        (["convert", "--input=none.csv", "--dataset=x"], "no such file"),
        (["convert", "--input=x", "--dataset=y", "--usr=z"], "unknown setting usr - did you mean user?"),
    ],
    ids=str,
)
def test_bad_requests(in_tmp: Path, capsys: pytest.CaptureFixture[str], words: list[str], message: str) -> None:
    assert main(words) == 2
    assert message in capsys.readouterr().err


def test_convert_from_the_command_line(in_tmp: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (in_tmp / "table.csv").write_text("user,item,ts,score\n1,2,3,4\n1,3,4,5\n")
    assert main(["convert", "--input=table.csv", "--dataset=own", "--keep.score=token"]) == 0
    printed = capsys.readouterr().out
    assert "user_id    <- user (guessed by its name)" in printed
    assert "use it with --dataset=own" in printed
    first = (in_tmp / "datasets" / "own" / "own.inter").read_text(encoding="utf-8").splitlines()[0]
    assert first == "user_id:token\titem_id:token\ttimestamp:float\tscore:token"
