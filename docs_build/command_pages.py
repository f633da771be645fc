"""The help of every command, as `recbole-logq COMMAND --help` prints it."""

from __future__ import annotations

from recbole_logq.cli import COMMANDS
from recbole_logq.commands.help_pages import command_page as help_of
from recbole_logq.markup import fenced

_WIDTH = 80


def command_page() -> str:
    """All commands on one page."""
    parts = [
        "# Help of each command",
        "What `recbole-logq COMMAND --help` prints. [Commands](commands.md) says what each is for.",
    ]
    parts += [
        f"## {name}\n\n{fenced(help_of(name, module, _WIDTH).rstrip(), 'text')}" for name, module in COMMANDS.items()
    ]
    return "\n\n".join(parts) + "\n"
