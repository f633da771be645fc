"""A real browser for the pages of reports: the system's chromium, without a window and without a network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
# Of every mark: its box, the box of its drawing, and how far its colour stands out from the page.
MARKS = """() => {
  const shine = (colour) => {
    const context = new OffscreenCanvas(1, 1).getContext("2d");
    context.fillStyle = colour;
    context.fillRect(0, 0, 1, 1);
    const light = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map((byte) => {
      const part = byte / 255;
      return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * light[0] + 0.7152 * light[1] + 0.0722 * light[2] + 0.05;
  };
  const probe = document.createElement("p");
  probe.style.background = "Canvas";
  document.body.append(probe);
  const page = shine(getComputedStyle(probe).backgroundColor);
  probe.remove();
  return [...document.querySelectorAll("svg")].map((svg) => ({
    box: svg.getBoundingClientRect().toJSON(),
    marks: [...svg.querySelectorAll("circle, .line, .band, text")].map((mark) => {
      const style = getComputedStyle(mark);
      const own = shine(style.stroke === "none" ? style.fill : style.stroke);
      return { box: mark.getBoundingClientRect().toJSON(), contrast: Math.max(own, page) / Math.min(own, page) };
    }),
  }));
}"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Started once for the tests of a file; skips them where there is none."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed: uv sync")
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH: apt-get install chromium")
    with playwright.sync_playwright() as driver:
        found = driver.chromium.launch(executable_path=CHROMIUM, timeout=120_000)
        yield found
        found.close()


class Opened:
    """A page, and what it said and asked for while it was open."""

    def __init__(self, browser: Any, file: Path, width: int = 1280, **options: Any) -> None:
        context = browser.new_context(viewport={"width": width, "height": 800}, offline=True, **options)
        context.set_default_timeout(60_000)  # a busy machine is no failure
        self.page = context.new_page()
        self.said: list[str] = []
        self.asked: list[str] = []
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.said.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.blocked: list[str | None] = []
        self.page.on("requestfailed", lambda request: self.blocked.append(request.failure))
        self.page.goto(file.as_uri())

    def marks(self) -> Any:
        """Of every drawing its box and those of its marks, and how far their colours stand out."""
        return self.page.evaluate(MARKS)

    def column(self, number: int) -> list[str]:
        """Texts of a column of the first table, without the intervals."""
        cells = self.page.locator("table.sortable").first.locator(f"tbody td:nth-child({number})")
        return [text.split("\n")[0].split(" [")[0] for text in cells.all_inner_texts()]


@pytest.fixture
def open_page(browser: Any) -> Callable[..., Opened]:
    """``open_page(file, width, **options)`` gives an :class:`Opened`; options are those of a browser's context."""
    return partial(Opened, browser)


@pytest.fixture
def check_marks() -> Callable[[Any], None]:
    """``check_marks(figure)``: every mark of a drawing lies within it and stands out from the page."""

    def check(figure: Any) -> None:
        box = figure["box"]
        for mark in figure["marks"]:
            for low, high in (("left", "right"), ("top", "bottom")):
                assert box[low] - 1 <= mark["box"][low] <= mark["box"][high] <= box[high] + 1
            assert mark["contrast"] >= 3

    return check
