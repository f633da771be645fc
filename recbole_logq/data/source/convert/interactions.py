"""A table as one interaction a row, and which of its columns become which."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from recbole_logq.data.source.convert.atomic_rows import Rows, rows_of
from recbole_logq.data.source.convert.columns import Column, choose_columns
from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.item_lists import POSITION, ItemLists, has_item_lists
from recbole_logq.data.source.convert.row_filter import Filtered, conditions
from recbole_logq.data.source.convert.row_numbers import ROW_NUMBER, Numbered
from recbole_logq.data.source.tables.table import Table
from recbole_logq.errors import RequestError

_FIRST = ("user_id", "item_id", "timestamp")
_MADE = (ROW_NUMBER, POSITION)


class Interactions:
    """The columns of an atomic file of interactions, and its rows.

    Args:
        table: the source.
        source: its place, for errors.
        report: report of what each column becomes, and of rows that are left out.
        roles: columns of the user, the item and the time, None where they are to be guessed.
        keep: further columns with their types.
        where: conditions that a row fulfils.
        time_format: form of the dates.
        file_order: whether the order of the rows stands for the time.
        item_separator: separator of the items in a text that lists them.

    Raises:
        RequestError: The columns, conditions and options do not go together.
    """

    def __init__(
        self,
        table: Table,
        source: str,
        report: Report,
        roles: dict[str, str | None],
        *,
        keep: dict[str, str] | None,
        where: str | Sequence[str] | None,
        time_format: str | None,
        file_order: bool,
        item_separator: str | None,
    ) -> None:
        self.source, self.report, self.time_format = source, report, time_format
        if file_order and roles["timestamp"] is not None:
            raise RequestError("file_order=true: the order of the rows stands for the time, leave time out")
        filters = conditions(where, table.names)
        columns = choose_columns(table.names, roles, keep or {}, Path(source))
        user, item = columns["user_id"].source, columns["item_id"].source
        if item_separator is not None or report.untouched(lambda: has_item_lists(table, item)):
            together = [column.source for column in columns.values() if not column.kind.endswith("_seq")]
            together = [name for name in [*together, *(condition.column for condition in filters)] if name != user]
            table = ItemLists(table, item, together, source, report, item_separator)
            report.note(f"{item} holds lists: a row became one interaction an item")
            if "timestamp" not in columns and not file_order:
                columns["timestamp"] = Column(POSITION, "position in the list: 1, 2, ...", "float")
                report.note(
                    "times are positions: they order a row's items and mean nothing across rows (no temporal split)"
                )
        if file_order:
            table = Numbered(table)
            columns["timestamp"] = Column(ROW_NUMBER, "order of the rows: 1, 2, ...", "float")
        if "timestamp" not in columns:
            report.note(
                "no time column was found: sequential models need one, name it with --time=COLUMN, or set "
                "--file_order=true where the rows are in order of time"
            )
        if time_format is not None and columns.get("timestamp", Column(POSITION, "", "")).source in _MADE:
            raise RequestError(f"time_format={time_format}: no column has the times, name it with --time=COLUMN")
        further = [name for name in columns if name not in _FIRST]
        self.columns = {name: columns[name] for name in [*_FIRST, *further] if name in columns}
        self.table = Filtered(table, filters, report, source) if filters else table
        report.columns = {
            target: column.reason if column.source in _MADE else f"{column.source} ({column.reason})"
            for target, column in self.columns.items()
        }

    @property
    def header(self) -> list[str]:
        """First line of the atomic file, ``name:type`` each."""
        return [f"{target}:{column.kind}" for target, column in self.columns.items()]

    def rows(self) -> Iterator[Rows]:
        """Batches of rows; what was left out is in the report behind the last.

        Raises:
            RequestError: A column does not hold what it is to become.
        """
        yield from rows_of(self.table, self.columns, Path(self.source), self.report, self.time_format)
        used = {column.source for column in self.columns.values()}
        self.report.left_out = [name for name in self.table.names if name not in used]
        self.report.notes += self.table.notes
