"""The API reference: one page a public face, with everything that its ``__all__`` names."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator

from recbole_logq.markup import in_markdown

FACES = (
    "",
    "losses",
    "samplers",
    "probability",
    "modules",
    "evaluation",
    "serving",
    "data",
    "models",
    "lab",
    "registry",
)


def api_pages() -> Iterator[tuple[str, str]]:
    """Address and Markdown of each page, whose entries mkdocstrings writes out of their docstrings."""
    rows = []
    for face in FACES:
        name = f"recbole_logq.{face}".rstrip(".")
        module = importlib.import_module(name)
        summary, _, _ = (inspect.getdoc(module) or "").partition("\n\n")
        file = f"{face or 'recbole_logq'}.md"
        entries = [f"# {name}", in_markdown(summary), f"```python\nfrom {name} import {_some(module.__all__)}\n```"]
        entries += [_entry(name, entry, getattr(module, entry)) for entry in sorted(module.__all__, key=str.lower)]
        rows.append(f"| [`{name}`]({file}) | {in_markdown(summary)} |")
        yield f"api/{file}", "\n\n".join(filter(None, entries)) + "\n"
    head = "# API\n\nThe public faces of the package. What is not listed here may change without notice.\n"
    yield "api/index.md", "\n".join([head, "| import from | what is there |", "|---|---|", *rows, ""])


def _some(names: list[str]) -> str:
    shown = [name for name in names if not name.startswith("_")]
    return ", ".join(shown[:3]) + (", ..." if len(shown) > 3 else "")


def _entry(face: str, name: str, value: object) -> str:
    if name.startswith("__"):
        return ""
    if inspect.isclass(value) or inspect.isfunction(value):
        return f"::: {value.__module__}.{value.__qualname__}"
    kind = type(value)
    return f"## {name} {{ #{face}.{name} }}\n\nA `{kind.__name__}`. {in_markdown(inspect.getdoc(value) or '')}".rstrip()
