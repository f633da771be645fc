"""Users' files as tables: delimited text, JSON and Parquet behind one interface, each cell as the file has it.

Whatever reads a file that a user has made (`convert`, `recommend --input`) reads it through :func:`open_table`. Atomic
files are RecBole's format and are read as such (``data/source/atomic_file.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from recbole_logq.data.source.tables.content import BadColumn, BadRow, Content
from recbole_logq.data.source.tables.delimited import Delimited
from recbole_logq.data.source.tables.inputs import find_inputs
from recbole_logq.data.source.tables.joined import Joined
from recbole_logq.data.source.tables.json_records import JsonTable, is_record
from recbole_logq.data.source.tables.table import Table
from recbole_logq.errors import RequestError

KINDS = ("csv", "json", "parquet")


def open_table(
    source: str | Path | Sequence[Content],
    kind: str | None = None,
    *,
    bad_row: BadRow,
    bad_column: BadColumn | None = None,
    separator: str | None = None,
    quote: str | None = None,
    encoding: str | None = None,
    columns: Sequence[str] | None = None,
    has_options: bool = True,
) -> Table:
    """Look at one file or several.

    Args:
        source: what :func:`find_inputs` takes, or what it returned.
        kind: One of :data:`KINDS`; by the content when None.
        bad_row: What becomes of lines that are no rows.
        bad_column: What becomes of columns of JSON that hold more than values and lists of values, or lists in some
            lines alone; they are refused when None.
        separator: separator of the columns of text; by the first line when None.
        quote: What stands around fields: ``double``, ``single`` or ``none``. When None, ``double``, but ``none`` in
            text that is separated by tabs, where a quotation mark is a letter like any other.
        encoding: encoding of text; UTF-8 when None, and always what a byte order mark says.
        columns: names of the columns of delimited text without a header, empty for 1, 2, ...; None where the first line
            is a header.
        has_options: Whether the user can set ``--quote``, for errors.

    Raises:
        RequestError: A file is missing or is no table, or files differ in their columns.
    """
    contents = find_inputs(source, encoding) if isinstance(source, str | Path) else source
    kind = kind or kind_of(contents[0])

    def opened(content: Content) -> Table:
        if (kind == "parquet") != (content.format == "parquet"):
            raise RequestError(
                f"{content.name} is {'a' if content.format == 'parquet' else 'not a readable'} Parquet file"
            )
        if kind == "parquet":
            from recbole_logq.data.source.tables.parquet_file import ParquetTable

            return ParquetTable(content.path)
        if kind == "json":
            return JsonTable(content, bad_row, bad_column)
        return Delimited(content, separator, quote, bad_row, columns, has_options)

    tables = [opened(content) for content in contents]
    if len(tables) == 1:
        return tables[0]
    return Joined(tables, [content.name for content in contents], may_differ=kind == "json")


def kind_of(content: Content) -> str:
    """Which of :data:`KINDS` a file is by its content and its name; other text counts as delimited."""
    if content.format == "parquet" or content.suffix in {".parquet", ".pq"}:
        return "parquet"
    first = next((line.strip() for line in content.head.splitlines() if line.strip()), "")
    if content.suffix in {".jsonl", ".ndjson", ".json"}:
        return "json" if first else "csv"
    return "json" if first in {"[", "{"} or (first[:1] in {"[", "{"} and is_record(first)) else "csv"
