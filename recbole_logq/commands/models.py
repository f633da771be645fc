"""What there is to train with."""

from __future__ import annotations

from typing import Any

from recbole_logq.errors import RequestError

USAGE = """\
  models         list models, recipes, losses and sources of negatives, with a line each
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    if options:
        raise RequestError(f"models takes no settings, found --{min(options)}")
    from recbole_logq.catalog import print_catalog

    print_catalog()
