"""Delimited text, JSON Lines, Parquet or one sequence a line, to RecBole's atomic files: streamed, and what is left out
is counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from recbole_logq.data.source.convert.atomic_rows import Rows, rows_of
from recbole_logq.data.source.convert.columns import choose_columns
from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.sequences import HEADER, sequence_rows
from recbole_logq.data.source.convert.writing import write_atomic
from recbole_logq.data.source.known_datasets import PACKAGED
from recbole_logq.data.source.tables import kind_of, open_table
from recbole_logq.data.source.tables.content import Content, look_at
from recbole_logq.data.source.tables.delimited import SEPARATORS
from recbole_logq.errors import RequestError
from recbole_logq.files import failed_write, not_written, same_file
from recbole_logq.settings import DATA_PATH

FORMATS = ("csv", "json", "parquet", "sequences")
# What Windows keeps for itself, whatever stands behind a dot: a dataset should not depend on where it was made.
_RESERVED = {"con", "prn", "aux", "nul"} | {f"{port}{number}" for port in ("com", "lpt") for number in range(1, 10)}


def convert(
    source: str | Path,
    dataset: str,
    *,
    data_path: str | Path = DATA_PATH,
    format: str | None = None,
    user: str | None = None,
    item: str | None = None,
    time: str | None = None,
    keep: dict[str, str] | None = None,
    separator: str | None = None,
    quote: str | None = None,
    encoding: str | None = None,
    overwrite: bool = False,
) -> Report:
    """Write ``<data_path>/<dataset>/<dataset>.inter``.

    Args:
        source: The file to read; text may be compressed (gzip, bzip2, xz, zstd).
        dataset: The name that ``--dataset`` will use.
        data_path: The folder of the datasets.
        format: ``csv`` (with a header, whatever the separator), ``json`` (JSON Lines), ``parquet`` or ``sequences``
            (one user a line: the user, then items in time order, separated by blanks; positions become times); from
            the content and the suffix when None.
        user: Column of user ids; guessed from its name when None.
        item: Column of item ids; likewise.
        time: Column of times (a number of seconds, milli-, micro- or nanoseconds since 1970, or a date as ISO 8601
            writes it; both become seconds); guessed when None, and left out when nothing looks like it.
        keep: Further columns with their atomic type, such as ``{"rating": "float"}``; a rating is kept unasked.
        separator: separator of the columns of a CSV; from its first line when None.
        quote: ``double``, ``single`` or ``none``: what stands around fields of a CSV. When None, ``double``, but
            ``none`` where tabs separate the columns.
        encoding: encoding of text; UTF-8 when None. A byte order mark wins.
        overwrite: Whether a dataset of that name may be replaced, if it is interactions alone: files of users, items
            or parts that belong to the old ones are never left beside new ones, nor taken away.

    Returns:
        A :class:`Report`.

    Raises:
        RequestError: The file, its columns or the target do not fit the request.
        WorkError: Writing failed; nothing is left behind.
    """
    source, folder = Path(source), Path(data_path) / dataset
    _check_name(dataset)
    if not source.is_file():
        raise RequestError(f"input={source}: no such file")
    target = folder / f"{dataset}.inter"
    if same_file(source, target):
        raise RequestError(f"input={source} is what would be written: give another --dataset")
    _check_folder(folder, target, overwrite)
    if format is not None and format not in FORMATS:
        raise RequestError(f"format={format!r}: one of {', '.join(FORMATS)}")
    content = look_at(source, encoding)
    format = format or _guess_format(content, is_delimited=separator is not None or quote is not None)
    report = Report(str(source), str(target), {})
    text_options = {"separator": separator, "quote": quote, "encoding": encoding}
    for name, value in text_options.items():
        if value is not None and name not in _OPTIONS[format]:
            raise RequestError(f"{name}={value!r}: {source} is read as {format}, which has none; leave it out")
    if format == "sequences":
        if user or item or time or keep:
            raise RequestError("format=sequences has no columns: leave user, item, time and keep out")
        header, batches = HEADER, sequence_rows(content, report)
    else:

        def bad_row(line: int, reason: str) -> None:
            report.read += 1
            report.drop(reason, 1)

        table = open_table(source, format, bad_row=bad_row, separator=separator, quote=quote, encoding=encoding)
        wanted = {"user_id": user, "item_id": item, "timestamp": time}
        columns = choose_columns(table.names, wanted, keep or {}, source)
        report.columns = {target: f"{column.source} ({column.reason})" for target, column in columns.items()}
        if "timestamp" not in columns:
            report.note("no time column was found: sequential models need one, name it with --time=COLUMN")
        header = [f"{target}:{column.kind}" for target, column in columns.items()]

        def all_rows() -> Iterator[Rows]:
            yield from rows_of(table, columns, source, report)
            used = {column.source for column in columns.values()}
            report.left_out = [name for name in table.names if name not in used]
            report.notes += table.notes

        batches = all_rows()
    try:
        write_atomic(folder, target, header, batches, report)
    except OSError as error:
        raise not_written(folder, failed_write(error) or error, "set --data_path=FOLDER") from error
    return report


_OPTIONS = {
    "csv": {"separator", "quote", "encoding"},
    "json": {"encoding"},
    "parquet": set(),
    "sequences": {"encoding"},
}


def _check_folder(folder: Path, target: Path, overwrite: bool) -> None:
    """Refuse to write into a folder where something else is, or where files of other interactions would stay."""
    if not folder.is_dir():
        if folder.exists() or folder.is_symlink():
            raise RequestError(f"{folder} is no folder: give another --dataset")
        return
    names = sorted(path.name for path in folder.iterdir())
    companions = [name for name in names if name.startswith(f"{folder.name}.") and name != target.name]
    if names and not target.exists():
        raise RequestError(
            f"{folder} holds {names[0]} and no {target.name}, so there is no dataset to replace: give another "
            "--dataset, or take out what is there"
        )
    if names and not overwrite:
        raise RequestError(f"{folder} exists already: give another --dataset, or set --overwrite=true to replace it")
    if companions:
        raise RequestError(
            f"{folder} also holds {', '.join(companions)}, of the interactions that would be replaced and read with "
            "the new ones: take them out, and put back what fits the new ones, or give another --dataset"
        )


def _check_name(dataset: str) -> None:
    plain = dataset and not set(dataset) & set('/\\:*?"<>|') and dataset.isprintable()
    if not plain or dataset.startswith(".") or dataset != dataset.rstrip(". "):
        raise RequestError(f"dataset={dataset!r}: give a plain name")
    if dataset.split(".")[0].lower() in _RESERVED:
        raise RequestError(f"dataset={dataset!r}: no folder can have that name on Windows, give another")
    if dataset == PACKAGED:
        raise RequestError(f"dataset={dataset}: RecBole always reads its own copy under that name, give another")


def _guess_format(content: Content, is_delimited: bool) -> str:
    if (kind := kind_of(content)) != "csv":
        return kind
    if is_delimited or content.suffix in {".csv", ".tsv", ".tab"} or not content.head.strip():
        return "csv"
    head = content.head.splitlines()[:20]
    # Lines of a table have one width, sequences do not, and hold neither commas nor tabs.
    if not any(set(line) & set(",\t;") for line in head) and len({len(line.split()) for line in head}) > 1:
        return "sequences"
    if any(separator in head[0] for separator in SEPARATORS):
        return "csv"
    raise RequestError(f"cannot tell what {content.path} is: set --format={'|'.join(FORMATS)}")
