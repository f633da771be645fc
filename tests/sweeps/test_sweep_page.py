"""The report of a sweep in a real browser."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.sweeps.space import parse_space
from recbole_logq.sweeps.sweep_page import sweep_page as page

SPACE = parse_space(
    {
        "learning_rate": {"loguniform": [1e-4, 1e-1]},
        "similarity": ["dot", "cosine"],
        "temperature": {"uniform": [0.05, 1], "when": {"similarity": "cosine"}},
        "mlp_sizes": [[], [64, 32], ["<script>alert(2)</script>"]],
        "a_setting_with_quite_a_long_name.of_a_section": {"randint": [1, 3]},
    }
)


def _trial(number: int, noise: random.Random) -> dict[str, Any]:
    point: dict[str, Any] = {
        "learning_rate": 10 ** noise.uniform(-4, -1),
        "similarity": noise.choice(["dot", "cosine"]),
    }
    if point["similarity"] == "cosine":
        point["temperature"] = noise.uniform(0.05, 1)
    point |= {"mlp_sizes": noise.choice(SPACE[3].values), SPACE[4].name: noise.randint(1, 3)}
    status = "failed" if number == 3 else noise.choice(["done", "stopped"]) if number > 1 else "done"
    record = {"number": number, "trial": f"t{number}", "point": point, "status": status, "error": None}
    record |= {"best_score": None if status == "failed" else 0.05 + number / 1000, "best_epoch": 3, "epochs": 4}
    record |= {"started": 60.0 * number, "ended": 60.0 * number + 90, "train_cpu_seconds": 12.5}
    return record | ({"error": "<img src=x onerror=alert(1)> ran out of memory"} if status == "failed" else {})


def _search(name: str, trials: int) -> dict[str, Any]:
    noise = random.Random(name)
    records = [_trial(number, noise) for number in range(1, trials + 1)]
    done = [record for record in records if record["status"] == "done"]
    search = {"name": name, "model": "M", "dataset": "d", "metric": "NDCG@10", "bigger": True, "trials": records}
    return {**search, "winner": done[-1]["number"], "best": "best.yaml", "test_result": {"ndcg@10": 0.04}, "tested": ""}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    searches = [_search("ours", 30), _search("<script>alert(3)</script>", 8)]
    content = {"title": "Sweep <script>alert(0)</script>", "how": {"trials": 30, "cpus": 1.0}, "searches": searches}
    path = tmp_path / "report.html"
    path.write_text(page(content, {one["name"]: SPACE for one in searches}), encoding="utf-8")
    return path


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_whole_and_fits(
    open_page: Any, check_marks: Callable[[Any], None], report: Path, width: int, scheme: str
) -> None:
    opened = open_page(report, width, color_scheme=scheme)
    figures = opened.marks()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert len(figures) == 2 * (1 + 1 + len(SPACE))  # parallel coordinates, best so far, an effect for each parameter
    for figure in figures:
        assert len(figure["marks"]) > 8
        check_marks(figure)
    assert not opened.said
    assert opened.asked == [report.as_uri()]


def test_every_trial_with_a_score_has_a_line_and_its_dots(open_page: Any, report: Path) -> None:
    opened = open_page(report)
    section = opened.page.locator("section").nth(1)  # after the overview
    lines = section.locator("svg").first.locator("path.line")
    assert lines.count() == 29  # of 30 trials one failed
    effect = section.locator("svg").nth(2)
    assert effect.locator("circle").count() == 29
    conditional = section.locator("svg").nth(4).locator("circle").count()
    assert 0 < conditional < 29
    assert "ran out of memory" in section.inner_text()


def test_the_legend_hides_what_was_stopped(open_page: Any, report: Path) -> None:
    opened = open_page(report)
    section = opened.page.locator("section").nth(1)
    key = section.get_by_role("button", name="stopped")
    marks = section.locator(f"g[data-series='{key.get_attribute('data-key')}']")
    assert marks.count() > 5
    assert all(mark.is_visible() for mark in marks.all())
    key.click()
    assert not any(mark.is_visible() for mark in marks.all())
    winner = section.get_by_role("button", name="winner").get_attribute("data-key")
    assert section.locator(f"g[data-series='{winner}']").first.is_visible()


def test_texts_stay_texts(open_page: Any, report: Path) -> None:
    opened = open_page(report)
    assert opened.page.locator("h1").inner_text() == "Sweep <script>alert(0)</script>"
    assert "<script>alert(3)</script>" in opened.page.locator("h2").all_inner_texts()[2]
    assert opened.page.locator("img").count() == 0
    assert '["<script>alert(2)</script>"]' in opened.page.locator("table.sortable").nth(1).inner_text()  # as it is set
    assert not opened.said
