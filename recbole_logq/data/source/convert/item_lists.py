"""Rows with a list of items, a user or a session each, as one row an item."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.tables.cell_text import holds_lists, plain, texts
from recbole_logq.data.source.tables.table import Table, WrappedTable
from recbole_logq.errors import RequestError

POSITION = "\0position"
"""Name of the column of positions in the list, which no file can have."""
_BRACKETS = "[]() \t"


class ItemLists(WrappedTable):
    """A table whose rows have lists of items, one row an item.

    Lists of other columns that are as long as the items' go with them, item by item; what is no list is repeated.

    Args:
        table: the table.
        item: column of the items.
        together: columns whose lists go with the items' one by one.
        place: the file, for errors.
        report: report that counts the rows without an item.
        separator: separator of items in a text; None where the cells are lists.
    """

    def __init__(
        self,
        table: Table,
        item: str,
        together: Sequence[str],
        place: str,
        report: Report,
        separator: str | None = None,
    ) -> None:
        super().__init__(table)
        self.report = report
        self.item, self.together, self.place = item, {item, *together}, place
        self.separator = separator

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`; rows are items.

        Raises:
            RequestError: A list has another length than that of its row's items.
        """
        stored = [name for name in columns if name != POSITION]
        for batch in self.table.batches(stored, n_rows):
            cells = {name: self._lists(name, plain(batch[name])) for name in stored}
            lengths = _lengths(cells[self.item])
            without = int((lengths == 0).sum())
            self.report.read += without
            self.report.drop(f"rows without a part in {self.item}", without)
            rows = np.repeat(np.arange(len(lengths)), lengths)
            flat: dict[str, Any] = {}
            for name in stored:
                if name not in self.together or not holds_lists(cells[name]):
                    flat[name] = cells[name].take(pa.array(rows))
                    continue
                wrong = np.flatnonzero(_lengths(cells[name]) != lengths)
                if len(wrong):
                    row = int(wrong[0])
                    raise RequestError(
                        f"{self.place}: a row has {lengths[row]} items in {self.item} and "
                        f"{_lengths(cells[name])[row]} values in {name}"
                    )
                flat[name] = cells[name].flatten()
            starts = np.cumsum(lengths) - lengths
            flat[POSITION] = pa.array(np.arange(len(rows)) - starts[rows] + 1, pa.int64())
            yield flat

    def _lists(self, name: str, cells: Any) -> Any:
        if self.separator is None or name not in self.together or holds_lists(cells):
            return cells
        parts = []
        for text in texts(cells, f"{name} of {self.place}"):
            pieces = (text or "").strip(_BRACKETS)
            parts.append([piece.strip(" \t'\"") for piece in pieces.split(self.separator)] if pieces else [])
        if self.separator.isspace():  # several blanks are one
            parts = [[piece for piece in row if piece] for row in parts]
        if name != self.item and all(len(row) <= 1 for row in parts):
            return cells  # one value for the whole row
        return pa.array(parts, pa.list_(pa.string()))


def has_item_lists(table: Table, item: str) -> bool:
    """Whether the column holds lists in the first rows of the table."""
    first = next(table.batches([item], 1), None)
    return first is not None and holds_lists(plain(first[item]))


def _lengths(cells: Any) -> np.ndarray:
    return np.asarray(pc.list_value_length(cells).fill_null(0).to_numpy(zero_copy_only=False), dtype=np.int64)
