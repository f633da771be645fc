"""Times of rows that have none: their place in the file, on request."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from recbole_logq.data.source.tables.table import WrappedTable

ROW_NUMBER = "\0row number"
"""Name of the column, which no file can have."""


class Numbered(WrappedTable):
    """A table with one column more: the number of each row, from 1.

    Args:
        table: the table.
    """

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`."""
        number = 0
        for batch in self.table.batches([name for name in columns if name != ROW_NUMBER], n_rows):
            length = len(next(iter(batch.values())))
            yield {**batch, ROW_NUMBER: pa.array(range(number + 1, number + length + 1), pa.int64())}
            number += length
