"""Files that are there as a whole or not at all."""

from __future__ import annotations

import json
import os
import re
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

from recbole_logq.errors import WorkError


def folder_name(label: str) -> str:
    """A title or a name as that of a folder."""
    return re.sub(r"[^\w.-]+", "-", label)


def write_text(target: str | Path, text: str) -> None:
    """Write or replace a file.

    Raises:
        WorkError: It cannot be written; what was there is untouched.
    """
    path = Path(target).absolute()
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding="utf-8", newline="\n")
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise WorkError(f"cannot write {path}: {error.strerror}") from error


def write_json(target: str | Path, content: Any) -> None:
    """The same for plain values."""
    write_text(target, json.dumps(content, indent=1, allow_nan=False) + "\n")
