"""Rows of a table as those of an atomic file."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np

from recbole_logq.data.source.convert.column_times import Clock
from recbole_logq.data.source.convert.columns import Column
from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.names import Names
from recbole_logq.data.source.convert.number_text import Numbers, check_parts, text_of
from recbole_logq.data.source.tables.cell_text import holds_lists, lists_of_texts, plain, texts
from recbole_logq.data.source.tables.table import Table
from recbole_logq.errors import RequestError

ROWS_PER_BATCH = 1 << 18
IDS = ("user_id", "item_id")
Rows = dict[str, list[str]]
"""Columns of an atomic file as they are written."""


def rows_of(
    table: Table, columns: dict[str, Column], source: Path, report: Report, time_format: str | None = None
) -> Iterator[Rows]:
    """Batches of the rows that have a user, an item and, where there is such a column, a time.

    Args:
        table: The source.
        columns: columns of the atomic file.
        source: Its file, for errors.
        report: Report that counts what was left out.
        time_format: form of dates, as :class:`Clock` takes it.

    Raises:
        RequestError: A column does not hold what it is to become.
    """
    clock = Clock(source, report, time_format)
    names = {target: Names(target, report) for target, column in columns.items() if "token" in column.kind}
    numbers = {
        target: Numbers(f"{column.source} of {source}", f"--keep.{column.source}")
        for target, column in columns.items()
        if column.kind == "float" and target != "timestamp"
    }
    blank = dict.fromkeys(numbers, 0)
    for batch in table.batches([column.source for column in columns.values()], ROWS_PER_BATCH):
        cells = {target: batch[column.source] for target, column in columns.items()}
        labels = {target: f"{column.source} of {source}" for target, column in columns.items()}
        report.read += len(cells["user_id"])
        kept = np.ones(len(cells["user_id"]), dtype=bool)
        values: dict[str, list[Any]] = {}
        for target in IDS:
            values[target] = texts(cells[target], labels[target])
            has_text = np.array([bool(text and text.strip()) for text in values[target]], dtype=bool)
            report.drop(f"no {target}", (kept & ~has_text).sum())
            kept &= has_text
        if "timestamp" in columns:
            seconds = clock.seconds(cells["timestamp"])
            report.drop("no readable time", (kept & ~np.isfinite(seconds)).sum())
            kept &= np.isfinite(seconds)
            values["timestamp"] = [text_of(value) for value in seconds.tolist()]
        rows: Rows = {}
        for target, column in columns.items():
            if target in numbers:
                found = numbers[target].of(cells[target])
                blank[target] += int((kept & np.isnan(found)).sum())
                values[target] = [text_of(value) for value in found.tolist()]
            elif target not in values:
                values[target] = _cells(cells[target], column.kind, labels[target])
            rows[target] = list(compress(values[target], kept))
            if target in names:
                rows[target] = names[target].of(rows[target])
        yield rows
    for target, count in blank.items():
        if count:
            others = f" ({numbers[target].note})" if numbers[target].note else ""
            report.note(f"{target} is empty in {count:,} rows without a number{others}; RecBole puts the mean there")
    for written_names in names.values():
        written_names.close()


def _cells(cells: Any, kind: str, label: str) -> list[str]:
    """Text of a further column of names or of lists."""
    rows = _texts(cells, kind, label)
    if kind == "float_seq":
        check_parts(rows, label)
    return rows


def _texts(cells: Any, kind: str, label: str) -> list[str]:
    if not holds_lists(plain(cells)):
        return [text or "" for text in texts(cells, label)]
    if not kind.endswith("_seq"):
        raise RequestError(f"{label} holds lists: keep it as {kind}_seq")
    rows = []
    for parts in lists_of_texts(cells, label):
        if wrong := [part for part in parts or [] if not part or set(part) & set(" \t\r\n")]:
            raise RequestError(f"{label}: {wrong[0]!r} in a list has a blank, which separates the parts of {kind}")
        rows.append(" ".join(parts or []))
    return rows
