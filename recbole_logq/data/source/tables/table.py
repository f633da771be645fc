"""What every reader of a user's file gives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol


class Table(Protocol):
    """A file that has been looked at.

    Attributes:
        names: names of its columns, in order; JSON may add some while they are read.
        notes: What the user should know of the reading.
    """

    @property
    def names(self) -> list[str]: ...

    @property
    def notes(self) -> list[str]: ...

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """Arrow arrays of the columns that are asked for, of at most that many rows at a time.

        Raises:
            RequestError: The file cannot be read to its end.
        """
        ...


class WrappedTable:
    """A table made of another one, whose names and notes it shares; its rows are those of ``batches``, in a subclass.

    Args:
        table: the other one.
    """

    def __init__(self, table: Table) -> None:
        self.table = table

    @property
    def names(self) -> list[str]:
        """Names of the table's columns."""
        return self.table.names

    @property
    def notes(self) -> list[str]:
        """Notes of the table."""
        return self.table.notes
