"""Parquet, its cells with the types that the file has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from recbole_logq.errors import RequestError


class ParquetTable:
    """A Parquet file.

    Args:
        path: The file.

    Raises:
        RequestError: The file is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        try:
            with pq.ParquetFile(path) as file:
                self.names = list(file.schema_arrow.names)
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`."""
        try:
            with pq.ParquetFile(self.path) as file:
                for batch in file.iter_batches(n_rows, columns=list(columns), use_threads=False):
                    yield {name: batch.column(name) for name in columns}
        except (pa.ArrowException, OSError) as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: Exception) -> RequestError:
        return RequestError(f"{self.path} is not a readable Parquet file: {' '.join(str(error).split())}")
