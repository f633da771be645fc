"""Events of MkDocs: pages made of the code and of notebooks, and links as they are written in the repository.

Everything under docs/ reads well where the repository is read, with links between files. The site takes these files as
they are; what it adds is made here from the same source: README.md as its first page, notebooks, a page for each loss
and sampler, the API of the public faces and the help of the commands.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from api_pages import api_pages
from command_pages import command_page
from mkdocs.structure.files import File, Files
from notebooks import as_markdown
from registry_pages import registry_pages
from repository_links import rewritten

ROOT = Path(__file__).parent.parent
FROM_ROOT = {
    "index.md": "README.md",
    "changelog.md": "CHANGELOG.md",
    "contributing.md": "CONTRIBUTING.md",
    "datasets.md": "datasets/README.md",
}
"""Pages of the site that are files outside docs/."""


def _made() -> Iterator[tuple[str, str]]:
    """Source address and Markdown of every page that is no file under docs/."""
    for address, path in FROM_ROOT.items():
        yield address, (ROOT / path).read_text(encoding="utf-8")
    for notebook in sorted((ROOT / "docs").rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in notebook.parts:
            address = notebook.relative_to(ROOT / "docs").with_suffix(".md").as_posix()
            yield address, as_markdown(notebook)
    yield from registry_pages()
    yield from api_pages()
    yield "command-help.md", command_page()


_PAGES: dict[str, str] = {}


def on_config(config: Any) -> Any:
    """Make the pages, and put them where the navigation names their kind."""
    _PAGES.clear()
    _PAGES.update(_made())
    named = set(_texts(config.nav))
    pages = (path.relative_to(ROOT / "docs").as_posix() for path in sorted((ROOT / "docs").rglob("*.md")))
    config.nav = _filled(config.nav, [page for page in pages if page not in named])
    return config


def _texts(entries: Any) -> Iterator[str]:
    if isinstance(entries, str):
        yield entries
    else:
        for entry in entries.values() if isinstance(entries, dict) else entries:
            yield from _texts(entry)


def _filled(entries: list[Any], others: list[str]) -> list[Any]:
    """The navigation with pages for ``made: FOLDER`` and ``others``."""
    filled: list[Any] = []
    for entry in entries:
        if entry == "others":
            filled += others
        elif isinstance(entry, str) and entry.startswith("made: "):
            folder = entry.removeprefix("made: ")
            pages = (page for page in _PAGES if page.startswith(folder))
            filled += sorted(pages, key=lambda page: (not page.endswith("/index.md"), page))
        elif isinstance(entry, dict):
            filled.append({title: _filled(of, others) if isinstance(of, list) else of for title, of in entry.items()})
        else:
            filled.append(entry)
    return filled


def on_files(files: Files, config: Any) -> Files:
    """Add what is made."""
    for address, text in _PAGES.items():
        files.append(File.generated(config, address, content=text))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Files) -> str:
    """Links between files of the repository become links between pages."""
    address = page.file.src_uri
    path = FROM_ROOT.get(address, f"docs/{address}")
    places = {source: target for target, source in FROM_ROOT.items()}
    places |= {f"docs/{file.src_uri}": file.src_uri for file in files}
    # A notebook is a page, and its file is there to download.
    places |= {f"docs/{uri.removesuffix('.md')}.ipynb": uri for uri in _PAGES if f"docs/{uri[:-3]}.ipynb" in places}
    return rewritten(markdown, path, address, places, ROOT)


def on_page_content(html: str, page: Any, config: Any, files: Files) -> str:
    """Tables scroll in boxes of their own."""
    return re.sub(
        r"<table>(.*?)</table>", r"<div class='wide' tabindex='0'><table>\1</table></div>", html, flags=re.DOTALL
    )
