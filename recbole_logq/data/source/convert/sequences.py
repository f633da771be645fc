"""Text with one user's sequence a line."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from recbole_logq.data.source.convert import atomic_rows
from recbole_logq.data.source.convert.atomic_rows import Rows
from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.names import Names
from recbole_logq.data.source.tables.content import Content
from recbole_logq.errors import RequestError

HEADER = ["user_id:token", "item_id:token", "timestamp:float"]
_BETWEEN = re.compile(r"[ \t]+")  # no other white space: a name may hold a space that does not break


def sequence_rows(contents: Sequence[Content], report: Report) -> Iterator[Rows]:
    """Batches of rows whose times are positions.

    Args:
        contents: the files.
        report: report that counts what was left out.

    Raises:
        RequestError: A user has two lines.
    """
    report.columns = {"user_id": "first word of a line", "item_id": "the other words"}
    report.columns["timestamp"] = "position in the line: 1, 2, ..."
    report.note("times are positions: they order a user's items and mean nothing across users (no temporal split)")
    names = {target: Names(target, report) for target in ("user_id", "item_id")}
    rows: Rows = {"user_id": [], "item_id": [], "timestamp": []}
    seen: set[str] = set()
    for content in contents:
        for user, *items in _words(content):
            report.read += max(len(items), 1)
            if not items:
                report.drop("lines with a user and no item", 1)
                continue
            if user in seen:
                raise RequestError(f"{content.name}: user {user!r} has two lines: join them")
            seen.add(user)
            rows["user_id"] += names["user_id"].of([user]) * len(items)
            rows["item_id"] += names["item_id"].of(items)
            rows["timestamp"] += map(str, range(1, len(items) + 1))
            if len(rows["user_id"]) >= atomic_rows.ROWS_PER_BATCH:
                yield rows
                rows = {name: [] for name in rows}
    yield rows
    for written_names in names.values():
        written_names.close()


def _words(content: Content) -> Iterator[list[str]]:
    with content.text() as lines:
        for line in lines:
            words = _BETWEEN.split(line.strip(" \t\r\n"))
            if words[0]:
                yield words
