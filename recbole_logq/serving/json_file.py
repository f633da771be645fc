"""JSON files of a stranger: text with finite numbers and every key once, of bounded size."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError

LARGEST = 1 << 24
"""Bytes of a file that are read at most, 16 MB."""


def read_json(file: Path) -> dict[str, Any]:
    """The object in a file.

    Raises:
        RequestError: The file is missing, too large, no JSON, or no object.
    """
    try:
        with file.open("rb") as opened:
            content = opened.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise RequestError(f"{file} is larger than {LARGEST:,} bytes: export again")
        value = json.loads(
            content.decode(), object_pairs_hook=_once, parse_constant=_no_constant, parse_float=_finite_number
        )
        json.dumps(value, ensure_ascii=False).encode()  # half of a surrogate pair is no text
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}; export again") from error
    except (ValueError, RecursionError) as error:
        if isinstance(error, RequestError):
            raise
        raise RequestError(f"{file} is damaged: no plain JSON; export again") from error
    if not isinstance(value, dict):
        raise RequestError(f"{file} is damaged: no JSON object; export again")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key twice")
    return mapping


def _no_constant(name: str) -> Any:
    raise ValueError(name)


def _finite_number(text: str) -> float:
    if not math.isfinite(number := float(text)):
        raise ValueError(text)
    return number
