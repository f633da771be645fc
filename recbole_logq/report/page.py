"""A page that opens offline: one file, no outside resource, light and dark, narrow and wide.

What is on a page is data: sections of blocks, whose texts are plain. One template turns them into HTML and escapes all
of them; nothing but the drawings, the style and the script of this package goes in as markup. The page's content
security policy lets the browser run that script and fetch nothing, so nothing comes of a text that should slip through.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any, ClassVar

from recbole_logq.report.cells import Cell
from recbole_logq.report.svg import classes
from recbole_logq.terminal import visible

if TYPE_CHECKING:
    from jinja2 import Template


@dataclass(frozen=True)
class Text:
    """A heading, a paragraph below it, or one of the two; ``failed`` marks a paragraph that says what went wrong."""

    kind: ClassVar[str] = "text"
    heading: str = ""
    text: str = ""
    failed: bool = False


@dataclass(frozen=True)
class Table:
    """A table whose headings the page's script makes into buttons that sort; on a narrow screen a line is a card.

    Attributes:
        label: What the table holds, for readers who do not see it.
        head: Headings.
        lines: Cells, a line each.
        by: Heading of the column by which the lines are sorted, the largest first.
    """

    kind: ClassVar[str] = "table"
    label: str
    head: Sequence[str]
    lines: Sequence[Sequence[Cell]]
    by: str | None = None

    def words(self) -> list[bool]:
        """Whether each column is one of words, which stand to the left; the others are numbers."""
        columns = zip(*self.lines, strict=True) if self.lines else [()] * len(self.head)
        return [all(cell.sort_key is None for cell in column) for column in columns]


@dataclass(frozen=True)
class Pairs:
    """Names and values: text, or cells, which stand to the right."""

    kind: ClassVar[str] = "pairs"
    values: Mapping[str, Any]

    def items(self) -> list[tuple[str, Cell, bool]]:
        """Name, cell, and whether it is one of numbers."""
        return [
            (name, value, True) if isinstance(value, Cell) else (name, Cell(plain(value)), False)
            for name, value in self.values.items()
        ]


@dataclass(frozen=True)
class Figure:
    """A drawing under its title and a note; a wide one has a row of its own and scrolls."""

    title: str
    note: str
    drawing: str
    wide: bool = False


@dataclass(frozen=True)
class Figures:
    """Figures beside and below each other, as many as fit, under keys that show and hide their series in the section.

    Attributes:
        figures: Figures, drawn as SVG or markup.
        label: What the keys choose among.
        series: Number of each series by its name; no keys where there is none.
    """

    kind: ClassVar[str] = "figures"
    figures: Sequence[Figure]
    label: str = ""
    series: Mapping[str, int] = field(default_factory=dict)

    def keys(self) -> list[tuple[str, int, str]]:
        """Name, number and classes of each series."""
        return [(name, number, classes(number)) for name, number in self.series.items()]


@dataclass(frozen=True)
class Code:
    """Lines of a shell."""

    kind: ClassVar[str] = "code"
    text: str


Block = Text | Table | Pairs | Figures | Code


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: Sequence[Block]


def page(title: str, sections: Sequence[Section], heading: str | None = None) -> str:
    """A whole page as HTML.

    Args:
        title: Title of the window.
        sections: Content of the page.
        heading: Heading of the page; the title by default.
    """
    folder = files(__package__)
    style, script = (folder.joinpath(f"page.{kind}").read_text(encoding="utf-8") for kind in ("css", "js"))
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    text = _template().render(
        title=title, heading=heading or title, sections=sections, style=style, script=script, digest=digest
    )
    return text.lstrip()  # of the lines between macros; an earlier page is known by how it begins


def plain(value: Any) -> str:
    """A value as text; of a list, its entries."""
    if isinstance(value, list):
        return ", ".join(map(plain, value))
    return setting_text(value) if isinstance(value, Mapping) else str(value)


def setting_text(value: Any) -> str:
    """A value as it is set on the command line: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


@cache
def _template() -> Template:
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, finalize=_to_be_seen, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    return environment.from_string(files(__package__).joinpath("page.html").read_text(encoding="utf-8"))


def _to_be_seen(value: Any) -> Any:
    """Control characters and the like written out, of all that is not markup already."""
    return value if hasattr(value, "__html__") else visible(str(value))
