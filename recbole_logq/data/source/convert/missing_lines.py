"""Users and items of the interactions that have no line in the table of users or items."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from recbole_logq.data.source.convert.atomic_rows import Rows
from recbole_logq.data.source.convert.conversion_report import Report


def counted(batches: Iterator[Rows], lines: Mapping[str, tuple[list[str], Report]]) -> Iterator[Rows]:
    """The same batches; behind the last, the reports of the tables say how many have no line there.

    Args:
        batches: rows of the interactions.
        lines: names that have a line, and the report of their table, by ``user_id`` or ``item_id``.
    """
    seen: dict[str, set[str]] = {field: set() for field in lines}
    for rows in batches:
        for field, names in seen.items():
            names.update(rows[field])
        yield rows
    for field, (named, report) in lines.items():
        missing = seen[field].difference(named)
        if missing and len(missing) == len(seen[field]):
            report.note(
                f"no id here is one of the interactions' {len(missing):,} {report.unit}: these are such as "
                f"{min(missing)[:40]!r}, and here {named[0][:40]!r}"
            )
        elif missing:
            report.note(f"{len(missing):,} of {len(seen[field]):,} {report.unit} of the interactions have no line here")
