"""The first line of an atomic file."""

from __future__ import annotations

from pathlib import Path
from typing import Any


def first_line(file: Path, config: Any, errors: str = "strict") -> list[str]:
    """What it declares, column by column: ``name:type`` each.

    Args:
        file: An atomic file.
        config: Reads ``encoding`` and ``field_separator``.
        errors: Of decoding, as for :func:`open`.
    """
    with file.open(encoding=config["encoding"] or "utf-8", errors=errors) as lines:
        return lines.readline().rstrip("\r\n").split(config["field_separator"])
