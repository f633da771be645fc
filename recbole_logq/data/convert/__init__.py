"""CSV, Parquet or one sequence a line, to RecBole's atomic files: streamed, with a report of what was left out."""

from __future__ import annotations

from pathlib import Path

from recbole_logq.data.convert.report import Report
from recbole_logq.data.convert.sources import SEPARATORS, open_sequences, open_table
from recbole_logq.data.convert.writing import write_atomic
from recbole_logq.errors import RequestError
from recbole_logq.files import failed_write, not_written, same_file
from recbole_logq.settings import DATA_PATH

FORMATS = ("csv", "parquet", "sequences")


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
    if same_file(source, target):
        raise RequestError(f"input={source} is what would be written: give another --dataset")
    if folder.exists() and any(folder.iterdir()) and not (overwrite and target.exists()):
        raise RequestError(f"{folder} exists already: give another --dataset, or set --overwrite=true to replace it")
    format = format or _guess_format(source, encoding)
    if format not in FORMATS:
        raise RequestError(f"format={format!r}: one of {', '.join(FORMATS)}")
    report = Report(str(source), str(target), {})
    if format == "sequences":
        if user or item or time or keep:
            raise RequestError("format=sequences has no columns: leave user, item, time and keep out")
        header, batches = open_sequences(source, encoding, report)
    else:
        wanted = {"user_id": user, "item_id": item, "timestamp": time}
        header, batches = open_table(source, format, wanted, keep or {}, separator, encoding, report)
    try:
        write_atomic(folder, target, header, batches, report)
    except OSError as error:
        raise not_written(folder, failed_write(error) or error, "set --data_path=FOLDER") from error
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
    if head and any(separator in head[0] for separator in SEPARATORS):
        return "csv"
    raise RequestError(f"cannot tell what {source} is: set --format={'|'.join(FORMATS)}")
