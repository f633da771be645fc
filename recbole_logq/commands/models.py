"""What there is to train with."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from recbole_logq.errors import RequestError
from recbole_logq.flags import Flags, Plugins, take_flags

SUMMARY = "list models, recipes, losses and sources of negatives, with a line each"
EXAMPLES = ("recbole-logq models", "recbole-logq models --plugins=my_loss.py")


class ModelsFlags(Flags):
    """What the command takes."""

    plugins: Plugins | None = Field(None, description="files and modules of your own whose entries are listed too")


FLAGS = (ModelsFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    if unknown := options.keys() - ModelsFlags.model_fields:
        raise RequestError(f"models takes no settings but --plugins, found --{min(unknown)}")
    flags = take_flags(options, ModelsFlags)
    from recbole_logq.catalog import print_catalog
    from recbole_logq.plugins import load_plugins

    load_plugins(flags.plugins)
    print_catalog()
