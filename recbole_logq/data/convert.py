"""CSV, Parquet or one sequence a line, to RecBole's atomic files: streamed, with a report of what was left out."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pandas._libs.parsers import STR_NA_VALUES

from recbole_logq.errors import RequestError, WorkError
from recbole_logq.settings import nearest

FORMATS = ("csv", "parquet", "sequences")
# Names that data sets in the wild give to the columns, compared without case and punctuation.
GUESSES = {
    "user_id": {"userid", "user", "uid", "u", "customerid", "customer", "reviewerid", "visitorid", "sessionid"},
    "item_id": {"itemid", "item", "iid", "i", "movieid", "productid", "articleid", "asin", "parentasin", "sid"},
    "timestamp": {"timestamp", "time", "ts", "t", "datetime", "date", "unixreviewtime", "eventtime", "createdat"},
    "rating": {"rating", "score", "overall", "stars"},
}
ROWS_PER_BATCH = 1 << 18
CSV_BLOCK = 1 << 24
# A timestamp at least this large is in milli-, micro- or nanoseconds: seconds reach 1e11 in the year 5138.
UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))


@dataclass
class Report:
    """What a conversion read, wrote and left out."""

    source: str
    target: str
    columns: dict[str, str]
    read: int = 0
    written: int = 0
    dropped: dict[str, int] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    def drop(self, reason: str, count: int) -> None:
        """Count rows left out."""
        if count:
            self.dropped[reason] = self.dropped.get(reason, 0) + int(count)

    def note(self, text: str) -> None:
        """Something the user should know, said once."""
        if text not in self.notes:
            self.notes.append(text)

    def lines(self) -> list[str]:
        """The report as text."""
        out = [f"{self.source} -> {self.target}"]
        out += [f"  {target:<10} <- {source}" for target, source in self.columns.items()]
        out.append(f"read {self.read:,} rows, wrote {self.written:,} interactions")
        out += [f"  dropped {count:,}: {reason}" for reason, count in self.dropped.items()]
        return out + [f"  note: {text}" for text in self.notes]


def convert(
    source: str | Path,
    dataset: str,
    *,
    data_path: str | Path = "datasets",
    format: str | None = None,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    keep: dict[str, str] | None = None,
    separator: str | None = None,
    encoding: str = "utf-8",
    overwrite: bool = False,
) -> Report:
    """Write ``<data_path>/<dataset>/<dataset>.inter``.

    Args:
        source: The file to read.
        dataset: The name that ``--dataset`` will use.
        data_path: The folder of the datasets.
        format: ``csv`` (with a header), ``parquet`` or ``sequences`` (one user a line: the user, then items in time
            order, separated by white space; positions become times); from the suffix and content when None.
        user: Column of user ids; guessed from its name when None.
        item: Column of item ids; likewise.
        time: Column of times (a number of seconds, milli-, micro- or nanoseconds since 1970, or a date as ISO 8601
            writes it; both become seconds); guessed when None, and left out when nothing looks like it.
        keep: Further columns with their atomic type, such as ``{"rating": "float"}``; a rating is kept unasked.
        separator: Of the columns of a CSV; from its first line when None.
        encoding: Of text files.
        overwrite: Whether a dataset of that name may be replaced.

    Returns:
        A :class:`Report`.

    Raises:
        RequestError: The file, its columns or the target do not fit the request.
        WorkError: Writing failed; nothing is left behind.
    """
    source, folder = Path(source), Path(data_path) / dataset
    # With or without a byte order mark, which would otherwise become part of the first name.
    encoding = "utf-8-sig" if encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else encoding
    if not dataset or set(dataset) & set("/\\") or dataset.startswith("."):
        raise RequestError(f"dataset={dataset!r}: give a plain name")
    if not source.is_file():
        raise RequestError(f"input={source}: no such file")
    with source.open("rb") as raw:
        if raw.read(2) == b"\x1f\x8b":
            raise RequestError(f"input={source} is compressed: unpack it first (gunzip)")
    target = folder / f"{dataset}.inter"
    if folder.exists() and any(folder.iterdir()) and not (overwrite and target.exists()):
        raise RequestError(f"{folder} exists already: give another --dataset, or set --overwrite=true to replace it")
    format = format or _guess_format(source, encoding)
    if format not in FORMATS:
        raise RequestError(f"format={format!r}: one of {', '.join(FORMATS)}")
    report = Report(str(source), str(target), {})
    if format == "sequences":
        if user or item or time or keep:
            raise RequestError("format=sequences has no columns: leave user, item, time and keep out")
        header, batches = _sequences(source, encoding, report)
    else:
        wanted = {"user_id": user, "item_id": item, "timestamp": time}
        header, batches = _table(source, format, wanted, keep or {}, separator, encoding, report)
    try:
        _write(folder, target, header, batches, report)
    except OSError as error:
        raise WorkError(f"cannot write {folder}: {error.strerror or error}") from error
    return report


def _guess_format(source: Path, encoding: str) -> str:
    suffix = source.suffix.lower()
    if suffix in {".parquet", ".pq"}:
        return "parquet"
    if suffix in {".csv", ".tsv"}:
        return "csv"
    try:
        with source.open(encoding=encoding) as lines:
            head = [line for line, _ in zip(lines, range(20), strict=False)]
    except (UnicodeError, LookupError) as error:
        raise RequestError(f"{source} is not text in {encoding}: set --format or --encoding") from error
    # Lines of a table have one width, sequences do not, and hold neither commas nor tabs.
    if head and not any(set(line) & set(",\t;") for line in head) and len({len(line.split()) for line in head}) > 1:
        return "sequences"
    if head and any(separator in head[0] for separator in _SEPARATORS):
        return "csv"
    raise RequestError(f"cannot tell what {source} is: set --format={'|'.join(FORMATS)}")


_SEPARATORS = ("\t", ",", ";", "|")


# --- sources: each gives the header of the atomic file and batches of its columns -------------------------------------


def _sequences(source: Path, encoding: str, report: Report) -> tuple[list[str], Iterator[pd.DataFrame]]:
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


def _table(
    source: Path,
    format: str,
    wanted: dict[str, str | None],
    keep: dict[str, str],
    separator: str | None,
    encoding: str,
    report: Report,
) -> tuple[list[str], Iterator[pd.DataFrame]]:
    names, read = _open_parquet(source) if format == "parquet" else _open_csv(source, separator, encoding, report)
    columns = _choose_columns(names, wanted, keep, source)
    report.columns = {target: f"{name} ({how})" for target, (name, how, _) in columns.items()}
    if "timestamp" not in columns:
        report.note("no time column was found: sequential models need one, name it with --time=COLUMN")

    def batches() -> Iterator[pd.DataFrame]:
        clock = _Clock(source, report)
        for table in read({name: kind for name, _, kind in columns.values()}):
            frame = pd.DataFrame({target: table[name] for target, (name, _, _) in columns.items()})
            report.read += len(frame)
            yield _clean(frame, columns, clock, report)

    header = [f"{target}:{kind}" for target, (_, _, kind) in columns.items()]
    return header, _readable(source, encoding, batches())


def _choose_columns(
    names: list[str], wanted: dict[str, str | None], keep: dict[str, str], source: Path
) -> dict[str, tuple[str, str, str]]:
    """Target name to (source name, given or guessed, atomic type)."""
    chosen: dict[str, tuple[str, str, str]] = {}
    for target, given in wanted.items():
        name = given if given is not None else _guess(target, names)
        flag = {"user_id": "user", "item_id": "item", "timestamp": "time"}[target]
        if name is None and target != "timestamp":
            raise RequestError(f"{source} has columns {', '.join(names)}: say which is the {flag} with --{flag}=COLUMN")
        if name is None:
            continue
        if name not in names:
            raise RequestError(f"{flag}={name}: {source} has no such column{nearest(name, set(names))}")
        kind = "float" if target == "timestamp" else "token"
        chosen[target] = (name, "given" if given is not None else "guessed by its name", kind)
    rating = _guess("rating", names)
    if rating is not None and rating not in keep:
        chosen["rating"] = (rating, "guessed by its name", "float")
    for name, kind in keep.items():
        if name not in names:
            raise RequestError(f"keep={name}: {source} has no such column{nearest(name, set(names))}")
        if kind not in {"token", "float", "token_seq", "float_seq"}:
            raise RequestError(f"keep.{name}={kind}: one of token, float, token_seq, float_seq")
        if name in chosen:
            raise RequestError(f"keep.{name}: the atomic file has a column of that name already")
        chosen[name.replace(":", "_")] = (name, "given", kind)  # a colon ends the name in an atomic file
    for name in {name for name, _, _ in chosen.values()}:
        if names.count(name) > 1:
            raise RequestError(f"{source} has {names.count(name)} columns called {name}: rename them")
    used = [name for name, _, _ in chosen.values()]
    twice = next((name for name in used if used.count(name) > 1), None)
    if twice is not None:
        raise RequestError(f"column {twice} would be used twice: name them with --user, --item and --time")
    return chosen


def _guess(target: str, names: list[str]) -> str | None:
    plain = {name: "".join(filter(str.isalnum, name.split(":")[0].lower())) for name in names}
    return next((name for name in names if plain[name] in GUESSES[target]), None)


def _open_csv(source: Path, separator: str | None, encoding: str, report: Report) -> tuple[list[str], Any]:
    from pyarrow import ArrowInvalid, csv, string

    try:
        with source.open(encoding=encoding) as lines:
            head = next((line.rstrip("\r\n") for line in lines if line.strip()), "")
    except (UnicodeError, LookupError) as error:
        raise RequestError(f"{source} is not text in {encoding}: set --encoding=NAME") from error
    if not head:
        raise RequestError(f"{source} is empty")
    separator = separator or max(_SEPARATORS, key=head.count)
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


# --- rows ------------------------------------------------------------------------------------------------------------


def _clean(
    frame: pd.DataFrame, columns: dict[str, tuple[str, str, str]], clock: _Clock, report: Report
) -> pd.DataFrame:
    for target in ("user_id", "item_id"):
        frame[target] = frame[target].astype("string").str.strip()
        missing = frame[target].isna() | (frame[target] == "")
        report.drop(f"no {target}", missing.sum())
        frame = frame[~missing].copy()
    if "timestamp" in columns:
        seconds = clock.seconds(frame["timestamp"])
        unreadable = ~np.isfinite(seconds)
        report.drop("no readable time", unreadable.sum())
        frame, frame["timestamp"] = frame[~unreadable].copy(), seconds[~unreadable]
    for target, (_, _, kind) in columns.items():
        if target in {"user_id", "item_id", "timestamp"}:
            continue
        if kind == "float":
            values = pd.to_numeric(frame[target], errors="coerce").to_numpy(np.float64, na_value=np.nan)
            values[~np.isfinite(values)] = np.nan
            frame[target] = values
            if np.isnan(values).any():
                report.note(f"{target} is empty where it could not be read; RecBole puts the mean there")
        else:
            frame[target] = frame[target].astype("string").fillna("")
    for target in frame.columns[frame.dtypes == "string"]:
        for pattern, instead, note in _UNREADABLE:
            if frame[target].str.contains(pattern, regex=True).any():
                frame[target] = frame[target].str.replace(pattern, instead, regex=True)
                report.note(f"{note.format(target)}, because RecBole would misread them")
    return frame


# What pandas, as RecBole calls it, takes for something else than text.
_NOT_A_NAME = "|".join(re.escape(word) for word in sorted(STR_NA_VALUES - {""}))
_UNREADABLE = (
    (r"[\t\r\n]+", " ", "tabs and line breaks in {} became spaces"),
    (r'"', "''", "quotation marks in {} became two apostrophes"),
    (rf"^({_NOT_A_NAME})$", r"\1_", "names in {} such as NA or null got an underscore"),
)


class _Clock:
    """Times of one column to seconds; the first batch decides what they are."""

    def __init__(self, source: Path, report: Report) -> None:
        self.source, self.report = source, report
        self.divisor: float | None = None
        self.dates = False

    def seconds(self, times: pd.Series) -> np.ndarray:
        if self.divisor is None:
            self._decide(times)
        if self.dates:
            parsed = pd.to_datetime(times, utc=True, errors="coerce", format="ISO8601")
            seconds = (parsed - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
            return seconds.to_numpy(np.float64, na_value=np.nan)
        numbers = pd.to_numeric(times, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        return numbers / (self.divisor or 1.0)

    def _decide(self, times: pd.Series) -> None:
        self.divisor = 1.0
        numbers = pd.to_numeric(times, errors="coerce") if not pd.api.types.is_datetime64_any_dtype(times) else None
        if numbers is None or (numbers.isna().all() and len(times)):
            self.dates = True
            if pd.api.types.is_timedelta64_dtype(times):
                raise RequestError(f"{self.source}: the times are durations; name another column with --time=COLUMN")
            if len(times) and pd.to_datetime(times, utc=True, errors="coerce", format="ISO8601").isna().all():
                raise RequestError(
                    f"{self.source}: times such as {str(times.iloc[0])[:40]!r} are neither numbers nor ISO 8601 dates; "
                    "name another column with --time=COLUMN"
                )
            self.report.note("dates became seconds since 1970, UTC")
            return
        size = float(numbers.abs().median()) if len(numbers) else 0.0
        for least, divisor, name in UNITS:
            if size >= least:
                self.divisor = divisor
                self.report.note(f"times are in {name} and became seconds")
                return


# --- writing ---------------------------------------------------------------------------------------------------------


def _write(folder: Path, target: Path, header: list[str], batches: Iterator[pd.DataFrame], report: Report) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent) as scratch:
        complete = Path(scratch) / folder.name
        complete.mkdir()
        file = complete / target.name
        with file.open("w", encoding="utf-8", newline="") as out:
            out.write("\t".join(header) + "\n")
            for batch in batches:
                batch = batch.assign(**{name: _numbers(batch[name]) for name in batch if _is_number(batch[name])})
                lines = batch.iloc[:, 0].str.cat([batch[name] for name in batch.columns[1:]], sep="\t")
                out.write("".join(lines + "\n"))
                report.written += len(batch)
        if report.written == 0:
            raise RequestError(f"{report.source} has no usable row: {'; '.join(report.lines()[-3:])}")
        folder.mkdir(exist_ok=True)
        os.replace(file, target)


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column))


def _numbers(column: pd.Series) -> pd.Series:
    # Whole numbers without ".0", everything else with the digits that give the same float64 back.
    values = column.to_numpy(np.float64)
    words = [
        "" if value != value else str(int(value)) if value.is_integer() else repr(value) for value in values.tolist()
    ]
    return pd.Series(words, index=column.index, dtype="string")
