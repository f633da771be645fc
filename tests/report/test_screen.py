"""What commands print in the end: tables that can be read in 80 columns, without Markdown and without colours."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from recbole_logq.report.screen import print_comparison, print_results, print_winners
from recbole_logq.report.summary import summarise

Make = Callable[..., dict[str, Any]]


def rows(text: str) -> list[list[str]]:
    """Cells of the rows of a table, those of several lines put together."""
    found: list[list[str]] = []
    for line in text.splitlines():
        if line.startswith("│"):
            cells = [cell.strip() for cell in line.strip("│").split("│")]
            if cells[-1]:
                found.append(cells)
            else:
                found[-1] = [f"{one} {more}".strip() for one, more in zip(found[-1], cells, strict=True)]
    return found


def test_a_comparison(make_record: Make, comparison: Make, capsys: pytest.CaptureFixture[str]) -> None:
    records = [make_record(name, seed, ndcg) for name, ndcg in (("A", 0.1), ("B", 0.2)) for seed in (1, 2)]
    records.append(make_record("C", 1, status="failed"))
    compared = [comparison("B", "A"), comparison("B", "A", metric="recall@10", verdict="worse")]
    print_comparison(summarise(records, compared))
    text = capsys.readouterr().out
    assert "world: means over seeds, tested against A; in brackets 95 % intervals" in text
    assert "FAILED: C, seed 1: WorkError: the loss of C became nan" in text
    best, reference, failed = rows(text)
    assert best[0] == "B"
    assert best[1].startswith("0.2000")
    assert best[2:] == ["+0.0200 [+0.0100, +0.0300]", "better", "2"]
    assert reference[0] == "A"
    assert reference[2:] == ["-", "reference", "2"]
    assert failed == ["C", "-", "-", "-", "0, 1 failed"]
    assert not re.search(r"\x1b|\| ?---|^#", text, re.MULTILINE)
    assert max(map(len, text.splitlines())) <= 80


def test_long_names_of_a_comparison_fold(records: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]) -> None:
    print_comparison(summarise(records, []))
    lines = capsys.readouterr().out.splitlines()
    assert max(len(line) for line in lines if line[:1] in "│┃┏└") <= 80


def test_results_and_winners(make_record: Make, capsys: pytest.CaptureFixture[str]) -> None:
    print_results([make_record("A", 1)["result"], make_record("B", 2, 0.25)["result"]])
    text = capsys.readouterr().out
    assert rows(text) == [["recall@10", "0.2000", "0.5000"], ["ndcg@10", "0.1000", "0.2500"]]
    assert "A, seed 1" in text
    assert "world; split: {'LS': 'valid_and_test'}, order: exact, ranking: full, items: 1682; test set 3c-world" in text
    trials = [{"number": 3, "best_score": 0.5}, {"number": 4, "best_score": 0.25}]
    search = {"name": "A", "winner": 4, "metric": "NDCG@5", "trials": trials, "tested": "its checkpoint"}
    search |= {"test_result": {"ndcg@5": 0.2, "recall@5": 0.3}, "best": "here/best.yaml"}
    print_winners([search, {"name": "B", "winner": None}])
    text = capsys.readouterr().out
    assert rows(text) == [
        ["A", "trial 4 wins", "NDCG@5 0.2500", "ndcg@5 0.2000"],
        ["", "", "", "recall@5 0.3000"],
        ["B", "no trial ended well", "-", "-"],
    ]
    assert "A: test (its checkpoint); settings: here/best.yaml" in text
