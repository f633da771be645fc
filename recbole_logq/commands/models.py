"""What there is to train with."""

from __future__ import annotations

from typing import Any

from recbole_logq.errors import RequestError

USAGE = """\
  models         list models, recipes, losses and sources of negatives, with a line each  [--plugins=my_loss.py]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    plugins = options.pop("plugins", None)
    if options:
        raise RequestError(f"models takes no settings but --plugins, found --{min(options)}")
    from recbole_logq.catalog import print_catalog
    from recbole_logq.plugins import load_plugins

    load_plugins(plugins)
    print_catalog()
