"""Settings as text for a terminal and as Markdown for the documentation."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

from recbole_logq.declared_options import Option
from recbole_logq.markup import in_markdown, markdown_table
from recbole_logq.reference import Section
from recbole_logq.terminal import text_width

INDENT = " " * 6
INDENT = " " * 6
_HEAD = """\
# Settings

Made by `uv run recbole-logq settings --format=markdown > docs/settings.md`; a test holds it equal.
`recbole-logq settings MODEL` shows the settings of one model, with the defaults that hold for it.

A setting stands in a YAML file, in `config_dict`, or on the command line as `--key=value`; a part of a section as
`--negatives.count=512`. RecBole's further settings, such as names of columns, pass through.
"""


def as_text(sections: Sequence[Section]) -> str:
    """A list for a terminal: name and default, below them what is allowed and what it means."""
    width = text_width()
    parts = []
    for section in sections:
        head = [section.title, *textwrap.wrap(section.note, width, break_on_hyphens=False), ""]
        parts.append("\n".join([*head, *(_entry(setting, width) for setting in section.settings)]))
    return "\n\n".join(parts)


def _entry(setting: Option, width: int) -> str:
    head = f"  {setting.name}" + (f" = {setting.default}" if setting.default else "")
    lines = [head]
    for text in (setting.description, setting.allowed and f"allowed: {setting.allowed}"):
        lines += textwrap.wrap(text, width, initial_indent=INDENT, subsequent_indent=INDENT, break_on_hyphens=False)
    return "\n".join(lines)


def as_markdown(sections: Sequence[Section], model: str | None = None) -> str:
    """A table for each section.

    Args:
        sections: The settings.
        model: Model that they are of; None for all.
    """
    parts = [_HEAD.rstrip() if model is None else f"# Settings of {in_markdown(model)}"]
    for section in sections:
        table = markdown_table(["setting", "default", "allowed", "meaning"], map(_row, section.settings))
        note = [in_markdown(section.note)] if section.note else []
        parts += [f"## {section.title}", *note, table]
    return "\n\n".join(parts) + "\n"


def _row(setting: Option) -> list[str]:
    default = f"`{setting.default}`".replace("|", "\\|") if setting.default else "-"
    allowed = in_markdown(setting.allowed) or "-"
    # Descriptions are this package's own text, with code in backquotes.
    meaning = setting.description.replace("|", "\\|") or "-"
    return [f"`{setting.name}`", default, allowed, meaning]
