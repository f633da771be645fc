"""The page of a single run: its curves are those of the history, and it is whole in a real browser."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import main
from recbole_logq.report.curves import of_epochs, steps_per_second
from recbole_logq.report.run_page import run_page

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def result(make_record: Make) -> dict[str, Any]:
    """A result with everything that a page draws, and names as attackers write them."""
    result = make_record("<script>alert(1)</script>", 1, weights=True)["result"]
    for epoch in result["history"]:
        epoch |= {"steps": 50, "peak_memory_mb": 600.0 + epoch["epoch"], "temperature": 0.1, "energy_kwh": 1e-5}
        epoch["diagnostics"] = {"alignment": 0.5 - epoch["epoch"] / 100, "entropy": None}
        if "valid_score" in epoch:
            epoch["valid_result"] = {"ndcg@10": epoch["valid_score"], "recall@10": 2 * epoch["valid_score"]}
    return {**result, "device": {"name": "cpu"}, "given": {"epochs": 10, "metrics": ["<b>x</b>"]}}


@pytest.fixture
def page(tmp_path: Path, result: dict[str, Any]) -> Path:
    file = tmp_path / "run.html"
    file.write_text(run_page(result), encoding="utf-8")
    return file


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
def test_the_page_is_whole_and_fits(
    open_page: Any, check_marks: Callable[[Any], None], page: Path, width: int, scheme: str
) -> None:
    opened = open_page(page, width, color_scheme=scheme)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    titles = [text.split("\n")[0] for text in opened.page.locator("figcaption b").all_inner_texts()]
    assert titles == [
        *("Training loss", "Validation", "Temperature", "Metrics on validation", "Sample weight"),
        *("Steps per second", "Peak memory of the process", "Energy", "alignment"),
    ]
    figures = opened.marks()
    assert len(figures) == len(titles)
    for figure in figures:
        check_marks(figure)
    assert opened.page.locator("svg").nth(1).locator("circle").count() == 5 + 1  # validations, and the best of them
    assert "<script>alert(1)</script> on world, seed 1" in opened.page.inner_text("h1")
    assert not opened.said
    assert opened.asked == [page.as_uri()]


def test_settings_are_in_whole_words_and_in_one_form(open_page: Any, tmp_path: Path, result: dict[str, Any]) -> None:
    long = {
        "negatives": {"source": "in_batch", "count": 256},
        "a_setting_with_quite_a_long_name.of_a_section": "x" * 90,
    }
    file = tmp_path / "run.html"
    file.write_text(run_page({**result, "given": {"epochs": 10, **long}}), encoding="utf-8")
    opened = open_page(file, 400)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == 400
    heights = {
        name: opened.page.locator("table.pairs td", has_text=name).first.evaluate(
            "cell => { const range = document.createRange(); range.selectNodeContents(cell); "
            "return range.getClientRects().length; }"
        )
        for name in ("model", "dataset", "epochs", "negatives")
    }
    assert heights == dict.fromkeys(heights, 1)  # lines
    text = opened.page.inner_text("body")
    assert '{"source": "in_batch", "count": 256}' in text
    assert '{"LS": "valid_and_test"}' in text


def test_curves_are_those_of_the_history() -> None:
    history = [
        {"epoch": 0, "train_seconds": 2.0, "steps": 10, "train_loss": 3.0},
        {"epoch": 1, "train_seconds": 2.0, "steps": 10, "train_loss": float("nan")},  # too short for the clock
        {"epoch": 2, "train_seconds": 4.5, "steps": 5, "train_loss": 1.0},
        {"epoch": 3, "train_seconds": 5.0, "train_loss": None},  # of a version that counted no steps
    ]
    assert steps_per_second(history) == [(0.0, 5.0), (2.0, 2.0)]
    assert of_epochs(history, "train_loss") == [(0.0, 3.0), (2.0, 1.0)]


def test_a_run_without_a_history_says_so(result: dict[str, Any]) -> None:
    text = run_page({**result, "history": []})
    assert "<svg" not in text
    assert "No curves: this model has a training loop of its own" in text


def test_a_single_epoch_has_its_points(result: dict[str, Any]) -> None:
    text = run_page({**result, "history": result["history"][1:2], "best_epoch": 1})
    assert "Best epoch: 1." in text
    assert "NaN" not in text


def test_from_the_command_line_and_resumed(in_tmp: Path, ml100k_cut: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model=TwoTowerCorrectedLogQ", "--dataset=cut", f"--data_path={ml100k_cut}", "--show_progress=false"]
    words += ["--train_batch_size=64", "--output=run.json"]
    assert main([*words, "--epochs=2", "--page=run.html"]) == 0
    (last,) = (in_tmp / "saved").glob("*-last.pth")
    assert main([*words, "--epochs=3", "--page=run.html", f"--resume={last}"]) == 0  # an earlier page is written over
    history = json.loads((in_tmp / "run.json").read_text(encoding="utf-8"))["history"]
    assert [epoch["epoch"] for epoch in history] == [0, 1, 2]
    assert len({epoch["steps"] for epoch in history}) == 1
    assert history[0]["steps"] >= 10
    text = (in_tmp / "run.html").read_text(encoding="utf-8")
    for epoch in history:  # the whole of it, from before the resuming too
        assert f"<title>Training loss: {epoch['train_loss']:.4g} at {epoch['epoch']}</title>" in text
    (in_tmp / "mine.html").write_text("<!doctype html> mine", encoding="utf-8")
    capsys.readouterr()
    assert main([*words, "--page=mine.html"]) == 2
    assert "--page=mine.html is there and no earlier output of this command" in capsys.readouterr().err
    assert main([*words, "--page=no/such.html"]) == 2
    assert "--page=no/such.html: cannot write there" in capsys.readouterr().err
