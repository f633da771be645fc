"""The page of a report in a real browser: the system's chromium, without a window and without a network."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.report import write_report

Make = Callable[..., dict[str, Any]]


@pytest.fixture
def report(tmp_path: Path, records: list[dict[str, Any]], comparison: Make) -> Path:
    compared = [comparison(name, "BPR", dataset="world") for name in ("X", "Y", "Pop")]
    return write_report(records, compared, tmp_path, "Report <script>alert(0)</script>")[0]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
def test_the_page_is_whole_and_fits(
    open_page: Any, check_marks: Callable[[Any], None], report: Path, width: int, scheme: str
) -> None:
    opened = open_page(report, width, color_scheme=scheme)
    figures = opened.marks()
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    assert len(figures) == 14  # two data sets: two intervals, two clocks, deciles, two models with weights
    for figure in figures:
        box = figure["box"]
        assert box["left"] >= 0
        assert box["right"] <= width
        assert box["width"] >= 300
        assert box["height"] >= 150
        assert len(figure["marks"]) > 10
        check_marks(figure)
    assert not opened.said
    assert opened.asked == [report.as_uri()]


def test_wide_tables_scroll_in_their_box(open_page: Any, report: Path) -> None:
    opened = open_page(report, 700)
    box = opened.page.get_by_role("region", name="Runs").first
    assert box.evaluate("box => box.scrollWidth > box.clientWidth + 200")
    box.focus()
    opened.page.keyboard.press("ArrowRight")
    # Not wait_for_function, which evaluates a text in the page, and that the page's policy forbids.
    scrolled = """box => new Promise((done) => {
      const end = () => done(box.scrollLeft);
      if (box.scrollLeft) end();
      box.addEventListener("scroll", end);
      setTimeout(end, 20000);
    })"""
    assert box.evaluate(scrolled) > 0
    name = box.locator("tbody td").first.bounding_box()
    assert name
    assert name["x"] >= 0  # stays in sight
    assert name["width"] < 300


@pytest.mark.parametrize("width", [400, 1280])
def test_every_result_is_in_sight(open_page: Any, report: Path, width: int) -> None:
    """No number is cut off or behind another, and on a narrow screen its name stands with it."""
    opened = open_page(report, width)
    tables = opened.page.locator("section").first.locator("table.sortable")
    names = [table.get_by_role("button").all_inner_texts() for table in tables.all()[:4]]
    assert [name for head in names for name in head[1:]] == [
        *("ndcg@10", "seeds", "recall@10", "recall@100"),
        *("coverage@10", "gini@10", "average_popularity@10", "novelty@10"),
        *("train s", "train CPU s", "positives/s", "peak MB"),
    ]
    boxes = opened.page.evaluate("""() => [...document.querySelector("section").querySelectorAll("table.sortable")]
      .slice(0, 4).flatMap((table) => [...table.tBodies[0].rows].map((row) => [...row.cells].map((cell) => {
        const range = document.createRange();
        range.selectNodeContents(cell);
        return { ...range.getBoundingClientRect().toJSON(), label: getComputedStyle(cell, "::before").content };
      })))""")
    assert len(boxes) == 4 * 9
    for row in boxes:
        for box in row:
            assert 0 <= box["left"] < box["right"] <= width
            assert (box["label"] != "none") == (width == 400)
        places = sorted((round(box["top"]) // 4, box["left"], box["right"]) for box in row)
        for (line, _, right), (next_line, left, _) in pairwise(places):
            assert line < next_line or right <= left


@pytest.fixture
def small(tmp_path: Path, make_record: Make) -> Path:
    """Values whose order as numbers is not their order as texts; one is missing."""
    values = {"b": 0.9, "c": 10.5, "a": 0.25, "d": 123.0}
    records = [make_record(name, seed, value) for name, value in values.items() for seed in (1, 2)]
    failed = make_record("none", 1, status="failed")
    return write_report([*records, failed], [], tmp_path, "small")[0]


def test_sorting_by_click(open_page: Any, small: Path) -> None:
    opened = open_page(small)
    assert opened.column(1) == ["d", "c", "b", "a", "none"]
    headings = opened.page.locator("table.sortable").first.locator("th")
    assert headings.nth(1).get_attribute("aria-sort") == "descending"
    headings.nth(1).get_by_role("button").click()
    assert headings.nth(1).get_attribute("aria-sort") == "ascending"
    assert opened.column(2) == ["0.2500", "0.9000", "10.5", "123.0", "-"]
    headings.nth(0).get_by_role("button").click()
    assert opened.column(1) == ["a", "b", "c", "d", "none"]
    assert headings.nth(0).get_attribute("aria-sort") == "ascending"
    assert headings.nth(1).get_attribute("aria-sort") is None
    assert not opened.said


def test_sorting_by_keyboard(open_page: Any, small: Path) -> None:
    opened = open_page(small)
    for _ in range(3):  # the table's box, the first heading, the second
        opened.page.keyboard.press("Tab")
    assert opened.page.evaluate("document.activeElement.textContent") == "ndcg@10"
    opened.page.keyboard.press("Enter")
    assert opened.column(1) == ["a", "b", "c", "d", "none"]
    opened.page.keyboard.press("Space")
    assert opened.column(1) == ["d", "c", "b", "a", "none"]


def test_the_legend_hides_a_run_in_the_figures_of_its_data_set(open_page: Any, report: Path) -> None:
    opened = open_page(report)
    key = opened.page.locator("button.key").first
    lines = opened.page.locator(f"g[data-series='{key.get_attribute('data-key')}']")
    before = [line.is_visible() for line in lines.all()]
    key.click()
    after = [line.is_visible() for line in lines.all()]
    assert all(before)
    assert key.get_attribute("aria-pressed") == "false"
    first = opened.page.locator("section").first.locator(f"g[data-series='{key.get_attribute('data-key')}']").count()
    assert after == [False] * first + [True] * (len(before) - first)
    key.press("Enter")
    assert all(line.is_visible() for line in lines.all())


def test_nothing_runs_that_a_text_could_bring(open_page: Any, report: Path) -> None:
    opened = open_page(report)
    assert "<script>alert(1)</script>" in opened.column(1)
    # Even what got into the page as markup: the policy keeps it from running and from the network.
    with opened.page.expect_event("requestfailed"):
        found = opened.page.evaluate("""new Promise((done) => {
          document.body.insertAdjacentHTML("beforeend", "<img src='http://a.invalid/x' onerror='bad = 1'>");
          document.images[0].addEventListener("error", () => done(typeof bad));
        })""")
    assert found == "undefined"
    assert opened.blocked == ["csp"]  # not that there is no network here


def test_without_scripts_everything_is_there(open_page: Any, report: Path) -> None:
    opened = open_page(report, 400, java_script_enabled=False)
    assert opened.page.locator("svg").count() == 14
    assert "ndcg@10" in opened.page.locator("th").all_inner_texts()
    box = opened.page.locator("svg").first.bounding_box()
    assert box
    assert box["height"] > 100
