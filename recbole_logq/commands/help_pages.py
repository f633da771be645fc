"""What ``--help`` prints: an overview, and a page for every command, made from its flags."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from types import ModuleType

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from recbole_logq.allowed_values import value_text, written_as
from recbole_logq.flags import placeholder
from recbole_logq.parsing import FLAGS as BY_NAME_ALONE

PROGRAM = "recbole-logq"
NOTES = """\
Settings are RecBole's and this package's; sections are reached with a dot: --negatives.count=512.
  recbole-logq COMMAND --help    flags of a command, with examples
  recbole-logq settings MODEL    settings of a model, with defaults and allowed values
  recbole-logq --version         version of this package
  --debug=true                   traceback of an error, with any command"""


def overview(commands: Mapping[str, ModuleType], width: int) -> str:
    """All commands, a line each.

    Args:
        commands: Modules of the commands by name.
        width: Columns of the terminal.
    """
    longest = max(map(len, commands))
    lines = [f"usage: {PROGRAM} [COMMAND] [--key=value ...]", ""]
    for name, command in commands.items():
        lines.append(_entry(f"  {name}", command.SUMMARY, longest + 4, width))
    return "\n".join([*lines, "", NOTES, ""])


def command_page(name: str, command: ModuleType, width: int) -> str:
    """Usage, flags and examples of a command.

    Args:
        name: Its name.
        command: Its module.
        width: Columns of the terminal.
    """
    settings = getattr(command, "SETTINGS", None)
    positional = getattr(command, "POSITIONAL", None)
    required = [
        f"--{key}={placeholder(field)}" for key, field in command.FLAGS[0].model_fields.items() if field.is_required()
    ]
    words = [PROGRAM, name, *([f"[{positional.upper()}]"] if positional else []), *required, "[--flag=value ...]"]
    summary = f"{command.SUMMARY[0].upper()}{command.SUMMARY[1:]}."
    lines = [f"usage: {' '.join(words)}", "", *textwrap.wrap(summary, width), ""]
    seen: set[str] = set()
    for model in command.FLAGS:
        head = "Flags" if model is command.FLAGS[0] else f"{(model.__doc__ or '').strip().rstrip('.')}"
        own = {key: field for key, field in model.model_fields.items() if key not in seen}
        seen |= own.keys()
        if own:
            lines += [f"{head}:", *_flags(own, width), ""]
    if settings:
        lines += [*textwrap.wrap(f"{settings}; `{PROGRAM} settings` lists them.", width), ""]
    return "\n".join([*lines, "Examples:", *(f"  {example}" for example in command.EXAMPLES), ""])


def _flags(fields: Mapping[str, FieldInfo], width: int) -> list[str]:
    return [_entry(f"  {_flag_text(key, field)}", _meaning(field), 30, width) for key, field in fields.items()]


def _flag_text(key: str, field: FieldInfo) -> str:
    for name in (key, key.replace("_", "-")):
        if name in BY_NAME_ALONE and field.default is False:
            return f"--{name}"
    return f"--{written_as(field) or f'{key}={placeholder(field)}'}"


def _meaning(field: FieldInfo) -> str:
    if field.is_required():
        return f"{field.description} (needed)"
    default = field.get_default(call_default_factory=True)
    if default in (None, False, []) or isinstance(default, BaseModel):
        return field.description or ""
    return f"{field.description}; default {value_text(default)}"


def _entry(head: str, text: str, column: int, width: int) -> str:
    """A term and its meaning, which begins in a column of its own, on the next line where the term is too long."""
    body = textwrap.wrap(text, max(width - column, 30), break_on_hyphens=False)
    if len(head) + 2 > column:
        body = [head, *(" " * column + line for line in body)]
    else:
        body = [f"{head:<{column}}{body[0]}", *(" " * column + line for line in body[1:])]
    return "\n".join(body)
