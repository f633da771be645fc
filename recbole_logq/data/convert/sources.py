"""Files to read: each gives the header of the atomic file and batches of its columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from recbole_logq.data.convert.columns import choose_columns
from recbole_logq.data.convert.report import Report
from recbole_logq.data.convert.rows import Clock, clean
from recbole_logq.errors import RequestError

ROWS_PER_BATCH = 1 << 18
CSV_BLOCK = 1 << 24
SEPARATORS = ("\t", ",", ";", "|")


def open_sequences(source: Path, encoding: str, report: Report) -> tuple[list[str], Iterator[pd.DataFrame]]:
    report.columns = {"user_id": "first word of a line", "item_id": "the other words"}
    report.columns["timestamp"] = "position in the line: 1, 2, ..."
    report.note("times are positions: they order a user's items and mean nothing across users (no temporal split)")

    def batches() -> Iterator[pd.DataFrame]:
        users: list[str] = []
        items: list[str] = []
        times: list[int] = []
        seen: set[str] = set()
        with source.open(encoding=encoding) as lines:
            for line in lines:
                words = line.split()
                if not words:
                    continue
                report.read += len(words) - 1
                if len(words) < 2:
                    report.drop("lines with a user and no item", 1)
                    continue
                if words[0] in seen:
                    raise RequestError(f"{source}: user {words[0]!r} has two lines: join them")
                seen.add(words[0])
                users += [words[0]] * (len(words) - 1)
                items += words[1:]
                times += range(1, len(words))
                if len(users) >= ROWS_PER_BATCH:
                    yield pd.DataFrame({"user_id": users, "item_id": items, "timestamp": times})
                    users, items, times = [], [], []
        yield pd.DataFrame({"user_id": users, "item_id": items, "timestamp": times})

    return ["user_id:token", "item_id:token", "timestamp:float"], _readable(source, encoding, batches())


def open_table(
    source: Path,
    format: str,
    wanted: dict[str, str | None],
    keep: dict[str, str],
    separator: str | None,
    encoding: str,
    report: Report,
) -> tuple[list[str], Iterator[pd.DataFrame]]:
    names, read = _open_parquet(source) if format == "parquet" else _open_csv(source, separator, encoding, report)
    columns = choose_columns(names, wanted, keep, source)
    report.columns = {target: f"{name} ({how})" for target, (name, how, _) in columns.items()}
    if "timestamp" not in columns:
        report.note("no time column was found: sequential models need one, name it with --time=COLUMN")

    def batches() -> Iterator[pd.DataFrame]:
        clock = Clock(source, report)
        for table in read({name: kind for name, _, kind in columns.values()}):
            frame = pd.DataFrame({target: table[name] for target, (name, _, _) in columns.items()})
            report.read += len(frame)
            yield clean(frame, columns, clock, report)

    header = [f"{target}:{kind}" for target, (_, _, kind) in columns.items()]
    return header, _readable(source, encoding, batches())


def _open_csv(source: Path, separator: str | None, encoding: str, report: Report) -> tuple[list[str], Any]:
    from pyarrow import ArrowInvalid, csv, string

    try:
        with source.open(encoding=encoding) as lines:
            head = next((line.rstrip("\r\n") for line in lines if line.strip()), "")
    except (UnicodeError, LookupError) as error:
        raise RequestError(f"{source} is not text in {encoding}: set --encoding=NAME") from error
    if not head:
        raise RequestError(f"{source} is empty")
    separator = separator or max(SEPARATORS, key=head.count)
    if len(separator) != 1:
        raise RequestError(f"separator={separator!r}: one character")

    def bad_row(row: Any) -> str:
        report.read += 1
        report.drop(f"lines that do not have {row.expected_columns} columns", 1)
        return "skip"

    parse = csv.ParseOptions(delimiter=separator, invalid_row_handler=bad_row)
    # pyarrow takes a byte order mark off by itself.
    encoding = encoding.removesuffix("-sig")
    reading = csv.ReadOptions(block_size=CSV_BLOCK, encoding=encoding, use_threads=False)

    def read(kinds: dict[str, str]) -> Iterator[pd.DataFrame]:
        columns = list(kinds)
        types = dict.fromkeys(columns, string())
        # An item may be called NA or null; only an empty field is missing.
        options = csv.ConvertOptions(
            include_columns=columns, column_types=types, strings_can_be_null=True, null_values=[""]
        )
        for batch in csv.open_csv(source, read_options=reading, parse_options=parse, convert_options=options):
            yield batch.to_pandas()

    try:
        with csv.open_csv(source, read_options=csv.ReadOptions(encoding=encoding), parse_options=parse) as opened:
            names = list(opened.schema.names)
    except ArrowInvalid as error:
        raise RequestError(f"{source} is not a readable CSV: {error}") from error
    report.read, report.dropped = 0, {}  # the look at the header counted too
    return names, read


def _open_parquet(source: Path) -> tuple[list[str], Any]:
    from pyarrow import ArrowInvalid, parquet

    try:
        file = parquet.ParquetFile(source)
    except ArrowInvalid as error:
        raise RequestError(f"{source} is not a readable Parquet file: {error}") from error

    def read(kinds: dict[str, str]) -> Iterator[pd.DataFrame]:
        for batch in file.iter_batches(ROWS_PER_BATCH, columns=list(kinds), use_threads=False):
            # Ids become text before pandas sees them: it would make floats of integers with gaps.
            columns = {
                name: batch[name].to_pandas() if kind == "float" else batch[name].cast("string").to_pandas()
                for name, kind in kinds.items()
            }
            yield pd.DataFrame(columns)

    return list(file.schema_arrow.names), read


def _readable(source: Path, encoding: str, batches: Iterator[pd.DataFrame]) -> Iterator[pd.DataFrame]:
    from pyarrow import ArrowException

    try:
        yield from batches
    except UnicodeError as error:
        raise RequestError(f"{source} is not text in {encoding}: set --encoding=NAME") from error
    except (ArrowException, OSError) as error:  # a damaged page is an OSError
        raise RequestError(f"{source} cannot be read: {' '.join(str(error).split())}") from error
