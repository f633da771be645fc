"""Numbers as a user writes them: one rule for every setting of every model and every flag of every command.

A text is a number where a number is wanted, and stays what it is everywhere else: ``010`` is ten epochs, and a dataset
called ``010``.

=========================  ==========================================================================================
``010``, ``+5``, ``" 5"``  decimal: 10, 5, 5; a zero in front means nothing
``1_000``, ``1e3``         1000; a whole number may be written with an exponent, and as ``5.0``
``0x10``, ``0b11``         16, 3
``1:30``, ``1,000``, ``٣`` no numbers
``inf``, ``nan``           no numbers; ``.inf`` and ``.nan`` are YAML's and are refused where a finite number is wanted
=========================  ==========================================================================================
"""

from __future__ import annotations

import re
import sys
from typing import Any

_DIGITS = r"[0-9](?:_?[0-9])*"
_OTHER_BASE = r"0x[0-9a-fA-F](?:_?[0-9a-fA-F])*|0b[01](?:_?[01])*"
_FRACTION = rf"{_DIGITS}\.(?:{_DIGITS})?|\.{_DIGITS}"
YAML_WHOLE = rf"[-+]?(?:0|[1-9](?:_?[0-9])*|{_OTHER_BASE})"
"""What YAML makes a whole number of; zeros in front leave it a text there, for it may be a name."""
YAML_DECIMAL = (
    rf"[-+]?(?:(?:{_FRACTION})(?:[eE][-+]?[0-9]+)?|{_DIGITS}[eE][-+]?[0-9]+|\.(?:inf|Inf|INF))|\.(?:nan|NaN|NAN)"
)
"""The same for a number with a fraction or an exponent."""
LONGEST = 1000
"""Characters of a number; Python refuses to read and to print what is much longer."""

_WHOLE = re.compile(rf"[-+]?(?:{_DIGITS}|{_OTHER_BASE})")
_DECIMAL = re.compile(rf"[-+]?(?:(?:{_FRACTION})(?:[eE][-+]?[0-9]+)?|{_DIGITS}[eE][-+]?[0-9]+)")


def as_number(value: Any) -> Any:
    """A text that is a number, as that number, and also within lists; anything else is returned as it is."""
    if isinstance(value, list):
        return [as_number(part) for part in value]
    if not isinstance(value, str) or len(value) > LONGEST:
        return value
    text = value.strip(" \t\r\n").replace("_", "")
    if _DECIMAL.fullmatch(value.strip(" \t\r\n")):
        return float(text)
    if not _WHOLE.fullmatch(value.strip(" \t\r\n")):
        return value
    number = int(text, {"0x": 16, "0b": 2}.get(text.lstrip("+-")[:2], 10))
    return number if abs(number) <= sys.float_info.max else value


def as_whole(value: Any) -> int | None:
    """A whole number, however it is written; None for anything else, truth values included."""
    number = as_number(value)
    if isinstance(number, float) and number.is_integer():
        return int(number)
    return number if isinstance(number, int) and not isinstance(number, bool) else None
