"""Notebooks as pages: their text, their code, and what was printed when they were executed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat


def as_markdown(path: Path) -> str:
    """A committed notebook as Markdown, with a link to its file."""
    notebook = nbformat.read(path, as_version=4)
    parts = [_cell(cell) for cell in notebook.cells]
    # As HTML: a link in Markdown would lead to the page that is made of the file.
    parts.insert(1, f"<a class='md-button download' href='{path.name}' download>Download this notebook</a>")
    return "\n\n".join(part for part in parts if part) + "\n"


def _cell(cell: Any) -> str:
    if cell.cell_type == "markdown":
        return str(cell.source)
    outputs = "\n\n".join(filter(None, map(_output, cell.get("outputs", []))))
    return f"```python\n{cell.source}\n```" + (
        f"\n\n<div class='printed' markdown>\n\n{outputs}\n\n</div>" if outputs else ""
    )


def _output(output: Any) -> str:
    text = output.get("text") or output.get("data", {}).get("text/plain", "")
    return f"```text\n{''.join(text).rstrip()}\n```" if text else ""
