"""The site: built from what is committed with warnings as errors, whole, and open in a browser without a network."""

from __future__ import annotations

import importlib.util
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from recbole_logq.registry import losses, samplers

ROOT = Path(__file__).parents[1]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        importlib.util.find_spec("mkdocs") is None, reason="MkDocs is not installed: uv run --group docs pytest"
    ),
]


class Page(HTMLParser):
    """What a page refers to, and where it can be referred to."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        self.links: list[str] = []
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.feed(file.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        known = {key: value or "" for key, value in attributes}
        self.ids.update(known[key] for key in ("id", "name") if key in known)
        if tag == "a" and "href" in known:
            self.links.append(known["href"])
        self.loaded += [known["src"]] if "src" in known else []
        self.loaded += [known["href"]] if tag == "link" and known.get("rel") in ("stylesheet", "icon") else []


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    return {file: Page(file) for file in sorted(site.rglob("*.html"))}


def test_links_lead_somewhere_and_nothing_is_loaded_from_elsewhere(site: Path, pages: dict[Path, Page]) -> None:
    assert len(pages) > 70
    broken = []
    for file, page in pages.items():
        if file.name == "404.html":
            continue
        for address in [*page.links, *page.loaded]:
            parts = urlsplit(address)
            if parts.scheme or parts.netloc:
                if address in page.loaded and parts.scheme != "data":
                    broken.append(f"{file.name} loads {address}")
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                broken.append(f"{file.relative_to(site)}: {address}")
            elif parts.fragment and target in pages and unquote(parts.fragment) not in pages[target].ids:
                broken.append(f"{file.relative_to(site)}: {address} has no such place")
    assert broken == []


def test_every_loss_and_sampler_has_a_page_with_its_parts(site: Path) -> None:
    for registry, folder in ((losses, "losses"), (samplers, "samplers")):
        for name in (name for name in registry.names() if registry.packaged(name)):
            text = (site / folder / f"{name}.html").read_text(encoding="utf-8")
            for part in ("When to use", "Goes with", "Example", "In code"):
                assert re.search(rf"<h2[^>]*>{part}<", text), f"{name}: {part}"
            if registry is losses:
                assert "<math display=" in text, f"{name}: its formula is not drawn"


def test_notebooks_are_pages_with_what_they_printed(site: Path) -> None:
    for notebook in (ROOT / "docs").rglob("*.ipynb"):
        page = site / notebook.relative_to(ROOT / "docs").with_suffix(".html")
        text = page.read_text(encoding="utf-8")
        assert text.count('class="printed"') >= 4, notebook.name
        assert re.search(rf"href=['\"]{re.escape(notebook.name)}['\"] download", text)


def test_the_public_faces_are_documented(site: Path) -> None:
    import recbole_logq

    page = (site / "api" / "recbole_logq.html").read_text(encoding="utf-8")
    for name in recbole_logq.__all__:
        assert name.startswith("_") or re.search(rf'id="recbole_logq\.[\w.]*\b{name}"', page), name


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (400, "dark")])
def test_pages_fit_and_say_nothing(open_page: Any, site: Path, width: int, scheme: str) -> None:
    for address in ("index", "leaderboard", "losses/corrected_logq", "tutorials/your-own-data", "api/serving"):
        opened = open_page(site / f"{address}.html", width, color_scheme=scheme)
        assert opened.page.evaluate("document.documentElement.scrollWidth") <= width, address
        assert opened.page.locator("h1").first.is_visible()
        assert not opened.said, address
        assert [url for url in opened.asked if not url.startswith(("file:", "data:", "blob:"))] == []
        assert not opened.blocked
        opened.page.close()


def test_search_finds_a_loss(open_page: Any, site: Path) -> None:
    opened = open_page(site / "index.html")
    opened.page.locator("input.md-search__input").click()
    opened.page.locator("input.md-search__input").press_sequentially("gbce")
    opened.page.locator(".md-search-result__item a", has_text="gbce").first.wait_for()
    assert not opened.said


def test_formulas_are_drawn(open_page: Any, site: Path) -> None:
    opened = open_page(site / "losses" / "bce.html")
    box = opened.page.locator(".formula mfrac").first.bounding_box()
    assert box
    assert box["height"] > 25  # numerator over denominator
