"""Names that RecBole would misread, written so that different names stay different."""

from __future__ import annotations

import re
from collections.abc import Sequence

from pandas._libs.parsers import STR_NA_VALUES

from recbole_logq.data.source.convert.conversion_report import Report

# What ends a field or a line, or opens a quoted field, has a pair of signs instead.
_PAIRS = {"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r", '"': "\\'", "\0": "\\0"}
_SIGNS = re.compile(r"[\\\t\n\r\"\0]")
# A backslash on its own is kept, but not where it would look like such a pair.
_TO_WRITE = re.compile(r"[\t\n\r\"\0]|\\[\\tnr'0]")
# pandas, as RecBole calls it, takes these for nothing at all.
_NOT_A_NAME = STR_NA_VALUES - {""}


def readable(name: str) -> str:
    """A name as RecBole reads it as text; no two names become one.

    Tabs, line breaks and quotation marks become ``\\t``, ``\\n``, ``\\r`` and ``\\'``, a backslash that stands before
    one of these letters two; words such as NA or null, and the same with underscores behind, get an underscore.
    """
    if _TO_WRITE.search(name):
        return _SIGNS.sub(lambda sign: _PAIRS[sign[0]], name)
    return f"{name}_" if name.rstrip("_") in _NOT_A_NAME else name


class Names:
    """The names of a column.

    Args:
        column: Its name in the atomic file.
        report: Report that counts names written in another way.
    """

    def __init__(self, column: str, report: Report) -> None:
        self.column, self.report = column, report
        self.rewritten: dict[str, str] = {}

    def of(self, texts: Sequence[str]) -> list[str]:
        """The names as they are written."""
        changes = {name: valid for name in set(texts) if (valid := readable(name)) != name}
        self.rewritten |= changes
        return [changes.get(name, name) for name in texts] if changes else list(texts)

    def close(self) -> None:
        """Say what was written in another way."""
        if self.rewritten:
            name, valid = next(iter(self.rewritten.items()))
            self.report.note(
                f"names in {self.column} that RecBole would misread are written in another way: "
                f"{len(self.rewritten):,}, such as {name[:40]!r} as {valid[:40]}; different names stay different"
            )
