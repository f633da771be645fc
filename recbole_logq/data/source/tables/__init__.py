"""Users' files as tables: delimited text, JSON Lines and Parquet behind one interface, each cell as the file has it.

Whatever reads a file that a user has made (`convert`, `recommend --input`) reads it through :func:`open_table`. Atomic
files are RecBole's format and are read as such (``data/source/atomic_file.py``).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from recbole_logq.data.source.tables.content import BadRow, Content, look_at
from recbole_logq.data.source.tables.delimited import Delimited
from recbole_logq.data.source.tables.json_lines import JsonLines, is_json
from recbole_logq.errors import RequestError

KINDS = ("csv", "json", "parquet")


class Table(Protocol):
    """A file that has been looked at.

    Attributes:
        names: names of its columns, in order; JSON Lines may add some while they are read.
        notes: What the user should know of the reading.
    """

    names: list[str]
    notes: list[str]

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """Arrow arrays of the columns that are asked for, of at most that many rows at a time.

        Raises:
            RequestError: The file cannot be read to its end.
        """
        ...


def open_table(
    path: str | Path,
    kind: str | None = None,
    *,
    bad_row: BadRow,
    separator: str | None = None,
    quote: str | None = None,
    encoding: str | None = None,
    has_options: bool = True,
) -> Table:
    """Look at a file.

    Args:
        path: The file; text may be compressed with gzip, bzip2, xz or zstd.
        kind: One of :data:`KINDS`; by the content when None.
        bad_row: What becomes of lines that are no rows.
        separator: separator of the columns of text; by the first line when None.
        quote: What stands around fields: ``double``, ``single`` or ``none``. When None, ``double``, but ``none`` in
            text that is separated by tabs, where a quotation mark is a letter like any other.
        encoding: encoding of text; UTF-8 when None, and always what a byte order mark says.
        has_options: Whether the user can set ``--quote``, for errors.

    Raises:
        RequestError: The file is missing, or is no table.
    """
    content = look_at(Path(path), encoding)
    kind = kind or kind_of(content)
    if (kind == "parquet") != (content.format == "parquet"):
        raise RequestError(f"{path} is {'a' if content.format == 'parquet' else 'not a readable'} Parquet file")
    if kind == "parquet":
        from recbole_logq.data.source.tables.parquet_file import ParquetTable

        return ParquetTable(content.path)
    if kind == "json":
        return JsonLines(content, bad_row)
    return Delimited(content, separator, quote, bad_row, has_options)


def kind_of(content: Content) -> str:
    """Which of :data:`KINDS` a file is by its content and its name; other text counts as delimited."""
    if content.format == "parquet" or content.suffix in {".parquet", ".pq"}:
        return "parquet"
    first = next((line.strip() for line in content.head.splitlines() if line.strip()), "")
    if content.suffix in {".jsonl", ".ndjson", ".json"}:
        return "json" if first else "csv"
    return "json" if first in {"[", "{"} or (first[:1] in {"[", "{"} and is_json(first)) else "csv"
