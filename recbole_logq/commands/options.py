"""Options that several commands have, and their checks, before any long work."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.experiment.files import write_json, write_text


def config_files(options: dict[str, Any]) -> list[str]:
    """Take ``config_files`` out of the options: names with blanks between them."""
    return str(options.pop("config_files", None) or "").split()


def check_flag(options: dict[str, Any], key: str) -> None:
    """Raise ``RequestError`` unless the option is missing, true or false."""
    if not isinstance(options.get(key, False), bool):
        raise RequestError(f"{key}={options[key]!r}: true or false")


def check_writable(flag: str, target: Any) -> None:
    """Raise ``RequestError`` where ``--flag=target`` names no file that can be written: a result would be lost."""
    if target is None:
        return
    folder = Path(str(target)).absolute().parent
    if not folder.is_dir() or not os.access(folder, os.W_OK) or Path(str(target)).is_dir():
        raise RequestError(f"--{flag}={target}: cannot write there, give a file in an existing folder")


def write_result(target: Any, result: dict[str, Any]) -> None:
    """Write what ``--output`` asks for, if anything."""
    if target is not None:
        write_json(str(target), result)


def write_page(target: Any, text: str) -> None:
    """Write what ``--page`` asks for, if anything."""
    if target is not None:
        write_text(str(target), text)
