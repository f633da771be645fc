"""Delimited text: which separator, what quotation marks mean, and rows that are as many as the file has."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from recbole_logq.data.source.tables.content import Content
from recbole_logq.errors import RequestError

if TYPE_CHECKING:
    from recbole_logq.data.source.tables.content import BadRow

SEPARATORS = ("\t", ",", ";", "|")
_LONGEST = 1 << 24
csv.field_size_limit(max(csv.field_size_limit(), _LONGEST))
QUOTES = {"double": '"', "single": "'", "none": None}


class Delimited:
    """Text with one row a line, or over several lines where a quoted field has line breaks.

    Args:
        content: the file.
        separator: one character or several between columns; by the header when None.
        quote: one of :data:`QUOTES`; by the separator when None.
        bad_row: callback for rows that do not have the header's number of columns.
        columns: names of the columns of a file without a header, empty for 1, 2, ...; None where it has a header.
        has_options: whether the user can set ``--quote``, for errors.

    Raises:
        RequestError: There is no header, or the options make no sense.
    """

    def __init__(
        self,
        content: Content,
        separator: str | None,
        quote: str | None,
        bad_row: BadRow,
        columns: Sequence[str] | None = None,
        has_options: bool = True,
    ) -> None:
        self.content, self.bad_row, self.path = content, bad_row, content.name
        self.notes: list[str] = []
        if quote is not None and quote not in QUOTES:
            raise RequestError(f"quote={quote!r}: one of {', '.join(QUOTES)}")
        if separator is not None:
            separator = {"\\t": "\t", "tab": "\t"}.get(separator, separator)
        self.separator = separator if separator is not None else _guess(content)
        if not self.separator or set(self.separator) & set("\r\n\"'"):
            raise RequestError(f"separator={separator!r}: one or more characters that are no quotation marks")
        if len(self.separator) > 1 and quote not in (None, "none"):
            raise RequestError(f"quote={quote}: with a separator of several characters, marks are text: --quote=none")
        self.chosen, self.has_options = quote is not None, has_options
        self.quote = QUOTES[quote or ("none" if self.separator == "\t" or len(self.separator) > 1 else "double")]
        with content.text() as lines:
            first = next((row for _, row in self._rows(lines)), None)
        if first is None:
            raise RequestError(f"{self.path} is empty")
        self.has_header = columns is None
        if columns is None:
            self.names = [name.strip().lstrip("\ufeff") for name in first]
        else:
            self.names = list(columns) or [str(number) for number in range(1, len(first) + 1)]
        if len(self.names) != len(first) and not self.has_header:
            raise RequestError(
                f"{self.path}: its first line has {len(first)} columns, and {len(self.names)} names were given"
            )

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`; every cell is text."""
        import pyarrow as pa

        places, width = [self.names.index(name) for name in columns], len(self.names)
        rows: list[list[str]] = []
        marks = 0
        with self.content.text() as lines:
            numbered = self._rows(lines)
            if self.has_header:
                next(numbered, None)
            for number, row in numbered:
                if len(row) != width:
                    self.bad_row(number, f"lines that do not have {width} columns")
                    continue
                rows.append(row)
                if len(rows) == n_rows:
                    marks += self._marks(rows, places)
                    yield {name: pa.array([row[i] for row in rows]) for name, i in zip(columns, places, strict=True)}
                    rows = []
        if rows:
            marks += self._marks(rows, places)
            yield {name: pa.array([row[i] for row in rows]) for name, i in zip(columns, places, strict=True)}
        if marks:
            self.notes.append(
                f"{marks:,} fields begin with a quotation mark, which is taken as text; --quote=double takes it off"
            )

    def _marks(self, rows: list[list[str]], places: list[int]) -> int:
        if self.quote is not None or self.chosen or len(self.separator) > 1:
            return 0
        return sum(row[place].startswith('"') for row in rows for place in places)

    def _rows(self, lines: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Rows with the number of their first line; blank lines are none."""
        if len(self.separator) > 1:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, line.rstrip("\r\n").split(self.separator)
            return
        row_lines: list[str] = []  # lines of the row that is read
        copied = _copying(lines, row_lines)
        if self.quote is None:
            reader = csv.reader(copied, delimiter=self.separator, quoting=csv.QUOTE_NONE)
        else:
            reader = csv.reader(copied, delimiter=self.separator, quotechar=self.quote, strict=True)
        first = 1
        try:
            for row in reader:
                if row and (len(row) > 1 or row[0].strip()):
                    if len(row_lines) > 1 and not self.chosen:
                        self._check_lines(row_lines, len(row), first)
                    yield first, row
                elif row and len(row_lines) == 1 and row_lines[0].strip():
                    yield first, row  # one column whose quoted field is empty
                first = reader.line_num + 1
                row_lines.clear()
        except csv.Error as error:
            raise RequestError(f"{self.path}, line {first}: {_reason(error)}; {self._advice()}") from error

    def _check_lines(self, lines: list[str], width: int, first: int) -> None:
        """Refuse a field over several lines where the lines are whole rows each, had the marks been text."""
        ends = [line.count(self.separator) + 1 for line in (lines[0], lines[-1])]
        if width > 1 and ends == [width, width]:
            last = first + len(lines) - 1
            raise RequestError(
                f"{self.path}, line {first}: a quotation mark opens a field that goes on to line {last}; "
                + self._advice()
                + (", or --quote=double where fields have line breaks" if self.has_options else "")
            )

    def _advice(self) -> str:
        if self.has_options:
            return "set --quote=none where quotation marks are part of names"
        return "a field with quotation marks of its own stands between two, and has each of its own twice"


def _copying(lines: Iterable[str], copies: list[str]) -> Iterator[str]:
    for line in lines:
        copies.append(line)
        yield line


def _reason(error: csv.Error) -> str:
    text = str(error)
    if "expected after" in text:
        return "a field goes on after the quotation mark that ends it"
    if "unexpected end" in text:
        return "a quotation mark opens a field that nothing ends"
    if "field limit" in text:
        return f"a field has more than {_LONGEST:,} characters, as where a quotation mark opens it and nothing ends it"
    return text


def _guess(content: Content) -> str:
    head = next((line for line in content.head.splitlines() if line.strip()), "")
    if content.suffix in {".tsv", ".tab"}:
        return "\t"
    widths = {}
    for separator in SEPARATORS:
        try:
            widths[separator] = len(next(csv.reader([head], delimiter=separator), []))
        except csv.Error:
            widths[separator] = 0
    best = max(SEPARATORS, key=widths.__getitem__)
    return best if widths[best] > 1 else ","
