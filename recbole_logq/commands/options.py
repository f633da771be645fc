"""Options that several commands have, and their checks, before any long work."""

from __future__ import annotations

from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.files import write_json, write_text
from recbole_logq.numerals import as_whole


def config_files(options: dict[str, Any]) -> list[str]:
    """Take ``config_files`` out of the options: names with blanks between them."""
    return str(options.pop("config_files", None) or "").split()


def check_flag(options: dict[str, Any], key: str) -> None:
    """Raise ``RequestError`` unless the option is missing, true or false."""
    if not isinstance(options.get(key, False), bool):
        raise RequestError(f"{key}={options[key]!r}: true or false")


def whole_flag(options: dict[str, Any], key: str, default: int) -> int:
    """A whole number from 1 up.

    Raises:
        RequestError: It is none.
    """
    if options.get(key) is None:
        return default
    number = as_whole(options[key])
    if number is None or number < 1:
        raise RequestError(f"{key}={options[key]!r}: a whole number, 1 or more")
    return number


def write_result(target: Any, result: dict[str, Any]) -> None:
    """Write what ``--output`` asks for, if anything."""
    if target is not None:
        write_json(str(target), result)


def write_page(target: Any, text: str) -> None:
    """Write what ``--page`` asks for, if anything."""
    if target is not None:
        write_text(str(target), text)
