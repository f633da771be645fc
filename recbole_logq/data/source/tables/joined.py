"""Several files of one shape as one table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from recbole_logq.data.source.tables.table import Table
from recbole_logq.errors import RequestError


class Joined:
    """Rows of all tables, one table after the other.

    Args:
        tables: at least one table.
        places: their files, for errors.
        may_differ: whether a table may lack columns that another one has, as JSON objects may.

    Raises:
        RequestError: A table has other columns than the first.
    """

    def __init__(self, tables: Sequence[Table], places: Sequence[str], may_differ: bool = False) -> None:
        self.tables, self.may_differ = tables, may_differ
        self.names = list(dict.fromkeys(name for table in tables for name in table.names))
        for table, place in zip(tables, places, strict=True):
            if not may_differ and sorted(table.names) != sorted(tables[0].names):
                columns = sorted(set(table.names) ^ set(tables[0].names)) or table.names
                raise RequestError(
                    f"{place} and {places[0]} are read together and differ in column {columns[0]}: give a pattern that "
                    "fits files of one shape"
                )

    @property
    def notes(self) -> list[str]:
        """Notes of all tables, each once."""
        return list(dict.fromkeys(note for table in self.tables for note in table.notes))

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`."""
        for table in self.tables:
            yield from table.batches(columns, n_rows)
            if self.may_differ:  # JSON objects may add columns to the end
                self.names += [name for name in table.names if name not in self.names]
