"""The page of the laboratory in a real browser."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.lab.lab_page import lab_page


def _one(name: str, n: int, bias: float, error: float, head: float | None) -> dict[str, Any]:
    one = {"estimator": name, "n": n, "bias": bias, "squared_bias": bias**2, "bias_error": error, "spread": 0.2}
    return one | {"head_mass": head, "q_fit": [[1.0, 0.1]] * 4}


@pytest.fixture
def report(tmp_path: Path) -> Path:
    counts = (64, 256, 1024)
    estimators = [_one("A", n, 10 / n, 1e-9, 1.1) for n in counts]
    estimators += [_one("<b>B</b>", n, 1e-3, 1e-4, None if n == 64 else 0.9) for n in counts]
    content = {"subject": "s", "facts": {}, "rows": 8, "items": 9, "p_positive": 0.1, "pools": 16}
    path = tmp_path / "lab.html"
    path.write_text(lab_page({**content, "estimators": estimators}), encoding="utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1280, "light")])
def test_the_page_is_whole_and_bounds_are_no_points(
    open_page: Any, check_marks: Callable[[Any], None], report: Path, width: int, scheme: str
) -> None:
    opened = open_page(report, width, color_scheme=scheme)
    figures = opened.marks()
    assert len(figures) == 2
    for figure in figures:
        check_marks(figure)
    assert opened.page.evaluate("document.documentElement.scrollWidth") == width
    bias = opened.page.locator("svg").first
    assert bias.locator("circle").count() == 3  # of A
    assert bias.locator("g.bound[data-series='1']").count() == 3  # of B, whose bias is not distinguishable from 0
    assert "below 0.01414 at 64" in bias.locator("g.bound title").first.text_content()
    assert opened.page.locator("svg").nth(1).locator("circle").count() == 5
    assert "Not drawn, since they are not above 0: <b>B</b> at 64 (none)." in opened.page.inner_text("body")
    assert not opened.said
    assert opened.asked == [report.as_uri()]
    assert report.stat().st_size < 100_000
