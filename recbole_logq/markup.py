"""Text out of data in pages: whatever it holds, it is text there, in HTML as in Markdown."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from typing import Any

from recbole_logq.terminal import visible


def escape(value: Any) -> str:
    """A value as text of HTML, between tags and in attributes with either quotation mark."""
    return html.escape(visible(str(value)))


def in_markdown(value: Any) -> str:
    """A value as text of Markdown: neither HTML nor emphasis nor a link, nor the end of a cell or line."""
    safe = visible(str(value)).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    # Brackets of intervals stay: they make a link only before a parenthesis, bracket or colon.
    safe = re.sub(r"([\\`*|])|\](?=[(\[:])", lambda match: "\\" + match[0], safe)
    return " ".join(safe.split())


def fenced(text: str, language: str = "") -> str:
    """A block of code in Markdown, whose fence is longer than any in it."""
    longest = max((len(run) for run in re.findall("`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{visible(text)}\n{fence}"


def markdown_table(head: Sequence[Any], rows: Iterable[Sequence[Any]]) -> str:
    """A table in Markdown.

    Args:
        head: Headings.
        rows: Cells of each line. They are Markdown already: text out of data goes through :func:`in_markdown` first.
    """
    rule = ["---"] * len(head)
    lines = ["".join(f" {cell} |" if str(cell) else " |" for cell in row) for row in (head, *rows)]
    return "\n".join(f"|{line}" for line in [lines[0], f"{'|'.join(rule)}|", *lines[1:]])
