"""What a report says in each of its files, and what it refuses."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.errors import RequestError, WorkError
from recbole_logq.report import write_report

Make = Callable[..., dict[str, Any]]
Files = dict[str, str]
HALF = 4.30265 * 0.01 / 3**0.5  # of the t interval of three seeds 0.01 apart


class _Page(HTMLParser):
    """Tags and text outside of the style and the script; every tag must be closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(text)
        assert not self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick", "onerror"}
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] not in {"style", "script"}:
            self.text += data + "\n"


def write(folder: Path, records: list[dict[str, Any]], comparisons: list[dict[str, Any]] | None = None) -> Files:
    paths = write_report(records, comparisons or [], folder / "new" / "folder", "A <title> & more")
    assert [path.name for path in paths] == ["report.html", "report.csv", "report.json", "report.md"]
    assert sorted(path.name for path in paths[0].parent.iterdir()) == sorted(path.name for path in paths)
    return {path.suffix[1:]: path.read_text(encoding="utf-8") for path in paths}


@pytest.fixture
def two(make_record: Make) -> list[dict[str, Any]]:
    """A with ndcg@10 0.09, 0.10, 0.11; B with one seed that is better."""
    return [make_record("A", seed, 0.08 + 0.01 * seed) for seed in (1, 2, 3)] + [make_record("B", 1, 0.2)]


def test_means_and_intervals_are_the_same_everywhere(
    tmp_path: Path, two: list[dict[str, Any]], comparison: Make
) -> None:
    files = write(tmp_path, two, [comparison("B", "A", p_seeds=None)])
    best, other = csv.DictReader(files["csv"].splitlines())
    assert (best["name"], best["seeds"], best["ndcg@10"], best["ndcg@10 low"]) == ("B", "1", "0.2", "")
    assert (other["name"], other["seeds"], other["verdict"]) == ("A", "1 2 3", "reference")
    for column, value in (("", 0.1), (" low", 0.1 - HALF), (" high", 0.1 + HALF)):
        assert float(other[f"ndcg@10{column}"]) == pytest.approx(value, abs=1e-6)
    assert float(other["train CPU s"]) == pytest.approx(19.0)
    (dataset,) = json.loads(files["json"])["datasets"]
    assert dataset["entries"][1]["values"]["ndcg@10"]["low"] == pytest.approx(0.1 - HALF, abs=1e-6)
    assert dataset["comparisons"][0]["verdict"] == "better"
    assert f"| A | 0.1000 [{0.1 - HALF:.4f}, {0.1 + HALF:.4f}] | reference | 1, 2, 3 |" in files["md"]
    assert "| B | 0.2000 | better | 1 |" in files["md"]
    assert "| B | A | ndcg@10 | +0.0200 [+0.0100, +0.0300] | 6,040 | &lt; 0.0001 | - | better |" in files["md"]
    text = _Page(files["html"]).text
    for said in ("0.1000", f"[{0.1 - HALF:.4f}, {0.1 + HALF:.4f}]", "better", "+0.0200", "valid_and_test", "3c-world"):
        assert said in text


def test_what_makes_a_run_repeatable_is_there(tmp_path: Path, two: list[dict[str, Any]]) -> None:
    two[0]["result"]["versions"] = {"python": "3.12.1", "torch": "2.8.0"}
    files = write(tmp_path, two)
    for text in (_Page(files["html"]).text, files["md"]):
        assert 'recbole-logq --model=A --dataset=world --seed=3 --negatives.alpha="0.75"' in text
        assert "2.8.0 (runs: 1), 2.9.0 (runs: 3)" in text
    kept = json.loads(files["json"])["runs"]
    assert kept[0]["command"] == two[0]["command"]
    assert kept[0]["result"] == two[0]["result"]
    assert not kept[0].keys() & {"users", "per_user"}


def test_failed_runs_keep_their_place_and_reason(tmp_path: Path, make_record: Make) -> None:
    records = [make_record("A", 1), make_record("A", 2, status="failed"), make_record("C", 1, status="failed")]
    files = write(tmp_path, records)
    assert "| A | 0.1000 | 1 failed: 2 |" in files["md"]
    assert "| C | - | none failed: 1 |" in files["md"]
    assert "| C | 1 | WorkError: the loss of C became nan |" in files["md"]
    text = _Page(files["html"]).text
    assert "2 of 3 runs failed" in text
    assert "WorkError: the loss of A became nan" in text
    assert "--model=C" in text
    rows = list(csv.DictReader(files["csv"].splitlines()))
    assert [(row["name"], row["seeds"], row["failed seeds"]) for row in rows] == [("A", "1", "2"), ("C", "", "1")]
    assert json.loads(files["json"])["datasets"][0]["entries"][1]["failed"][0]["seed"] == 1


def test_only_failures_make_a_report_too(tmp_path: Path, make_record: Make) -> None:
    files = write(tmp_path, [make_record("A", 1, status="failed")])
    assert "1 of 1 runs failed" in files["html"]
    assert "became nan" in files["md"]


def test_data_sets_stand_apart(tmp_path: Path, make_record: Make, comparison: Make) -> None:
    records = [make_record(name, 1, 0.1, dataset) for dataset in ("one", "two") for name in "AB"]
    files = write(tmp_path, records, [comparison("B", "A", dataset="two", verdict="a tie")])
    first, second = files["md"].split("\n## two\n")
    assert "a tie" in second
    assert "a tie" not in first
    assert "3c-one" in first
    with pytest.raises(RequestError, match="need a dataset each"):
        write(tmp_path, records, [comparison("B", "A")])


def test_texts_are_texts(tmp_path: Path, records: list[dict[str, Any]]) -> None:
    records[0]["command"] = "echo ``` </pre><script>alert(2)</script>"
    records[-1]["error"] = "<img src=x onerror=alert(3)> | a\nb"
    files = write(tmp_path, records)
    found = _Page(files["html"])
    assert found.tags.count("script") == 1
    assert "img" not in found.tags
    assert "<script>alert(1)</script>" in found.text
    outside_code = re.sub(r"(````sh\n.*?\n````\n|```sh\n.*?\n```\n)", "", files["md"], flags=re.DOTALL)
    assert "````sh" in files["md"]
    assert "<" not in outside_code
    assert r"a\|b \`c\` [d\](javascript:e)" in outside_code
    cells = {line.count("|") - line.count(r"\|") for line in outside_code.splitlines() if line.startswith("| BPR |")}
    heads = {line.count("|") for line in outside_code.splitlines() if line.startswith("| run |")}
    assert cells <= heads
    named = {row["name"] for row in csv.DictReader(files["csv"].splitlines())}
    assert {"<script>alert(1)</script>", "a|b `c` [d](javascript:e) 'f' \"g\" & h"} <= named


def test_figures_appear_where_there_is_something_to_show(tmp_path: Path, make_record: Make) -> None:
    record = make_record("A", 1, weights=True)
    assert _Page(write(tmp_path, [record])["html"]).tags.count("svg") == 6
    for epoch in record["result"]["history"]:
        del epoch["sample_weight"]
    del record["measures"]["recall@10_by_decile"], record["measures"]["coverage@10"]
    record["result"]["history"] = []  # as of models that are not trained by epochs
    files = write(tmp_path, [record])
    assert _Page(files["html"]).tags.count("svg") == 1
    assert float(next(csv.DictReader(files["csv"].splitlines()))["train s"]) == 25.0


def test_curves_of_different_metrics_are_not_drawn_together(tmp_path: Path, two: list[dict[str, Any]]) -> None:
    two[0]["result"]["parameters"]["valid_metric"] = "MRR@10"
    text = write(tmp_path, two)["html"]
    assert "validated by different metrics, MRR@10, NDCG@10" in text
    assert "Quality against" not in text


def test_values_that_are_not_finite_become_null(tmp_path: Path, make_record: Make) -> None:
    record = make_record("A", 1)
    record["measures"]["novelty@10"] = float("nan")
    files = write(tmp_path, [record])
    assert json.loads(files["json"])["runs"][0]["measures"]["novelty@10"] is None
    assert "nan" not in files["csv"]


def test_runs_that_do_not_compare_are_refused(tmp_path: Path, two: list[dict[str, Any]], make_record: Make) -> None:
    for change, message in (
        ({"fingerprint": {"train": "1a", "valid": "2b", "test": "x"}}, "different test sets"),
        ({"protocol": {**two[0]["result"]["protocol"], "items": 7}}, "different numbers of items"),
    ):
        other = make_record("C", 1)
        other["result"] |= change
        with pytest.raises(RequestError, match=message):
            write_report([*two, other], [], tmp_path, "t")
        write_report([*two, {**other, "status": "failed"}], [], tmp_path, "t")
    with pytest.raises(RequestError, match="A on world has seed 1 twice"):
        write_report([*two, make_record("A", 1)], [], tmp_path, "t")
    with pytest.raises(RequestError, match="stands for A and Z"):
        write_report([*two, {**make_record("A", 9), "model": "Z"}], [], tmp_path, "t")
    with pytest.raises(RequestError, match="one run or more"):
        write_report([], [], tmp_path, "t")


def test_a_folder_that_cannot_be_made(tmp_path: Path, two: list[dict[str, Any]]) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(WorkError, match=r"cannot write .*report\.html: Not a directory"):
        write_report(two, [], tmp_path / "file" / "folder", "t")
