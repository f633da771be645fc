"""Delimited text, JSON, Parquet or one sequence a line, to RecBole's atomic files: streamed, and what is left out is
counted."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.feature_rows import VALUE_SEPARATOR, FeatureTable, feature_rows
from recbole_logq.data.source.convert.interactions import Interactions
from recbole_logq.data.source.convert.missing_lines import counted
from recbole_logq.data.source.convert.sequences import HEADER, sequence_rows
from recbole_logq.data.source.convert.target_folder import check_folder, check_name
from recbole_logq.data.source.convert.writing import move_into, write_rows
from recbole_logq.data.source.tables import kind_of, open_table
from recbole_logq.data.source.tables.content import Content
from recbole_logq.data.source.tables.delimited import SEPARATORS
from recbole_logq.data.source.tables.inputs import find_inputs
from recbole_logq.errors import RequestError
from recbole_logq.files import failed_write, not_written, same_file, scratch_folder
from recbole_logq.settings import DATA_PATH

FORMATS = ("csv", "json", "parquet", "sequences")


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
    where: str | Sequence[str] | None = None,
    time_format: str | None = None,
    file_order: bool = False,
    item_separator: str | None = None,
    separator: str | None = None,
    quote: str | None = None,
    encoding: str | None = None,
    header: bool | None = None,
    columns: Sequence[str] | None = None,
    items: str | Path | FeatureTable | None = None,
    users: str | Path | FeatureTable | None = None,
    value_separator: str | None = None,
    overwrite: bool = False,
) -> Report:
    """Write ``<data_path>/<dataset>/<dataset>.inter``, and ``.item`` and ``.user`` beside it from tables of these.

    Args:
        source: The input: a file, a folder, a pattern such as ``part-*.csv``, a zip archive or a place in one
            (``archive.zip/ratings.csv``); text may be compressed (gzip, bzip2, xz, zstd).
        dataset: The name that ``--dataset`` will use.
        data_path: The folder of the datasets.
        format: ``csv`` (whatever the separator), ``json`` (JSON Lines, an array of objects, or Python's literals a
            line), ``parquet`` or ``sequences`` (one user a line: the user, then items in time order, separated by
            blanks; positions become times); from the content and the suffix when None.
        user: Column of user ids; guessed from its name when None.
        item: Column of item ids; likewise. Where it holds lists, a row becomes one interaction an item, and times and
            kept columns that are lists go with them.
        time: Column of times (a number of seconds, milli-, micro- or nanoseconds since 1970, or a date as ISO 8601
            writes it; both become seconds); guessed when None, and left out when nothing looks like it.
        keep: Further columns with their atomic type, such as ``{"rating": "float"}``; a rating is kept unasked.
        where: conditions that a row fulfils, ``COLUMN=VALUE``, or with ``!=``, ``>``, ``>=``, ``<``, ``<=``.
        time_format: form of the dates in the codes of strftime, such as ``%d/%m/%Y %H:%M``.
        file_order: whether the order of the rows stands for the time.
        item_separator: separator of the items in a text that lists them.
        separator: separator of the columns of a CSV; from its first line when None.
        quote: ``double``, ``single`` or ``none``: what stands around fields of a CSV. When None, ``double``, but
            ``none`` where tabs separate the columns.
        encoding: encoding of text; UTF-8 when None. A byte order mark wins.
        header: whether the first line of CSVs names their columns; true when None, but not where ``columns`` do.
        columns: names of the columns of a CSV without a header; 1, 2, ... when None.
        items: table of items, likewise an input; its columns become those of the ``.item`` file. A
            :class:`FeatureTable` says more of it.
        users: table of users, for the ``.user`` file.
        value_separator: separator of several values in a text of these tables; ``|`` when None.
        overwrite: Whether a dataset of that name may be replaced, if it is interactions alone: files of users, items
            or parts that belong to the old ones are never left beside new ones, nor taken away.

    Returns:
        A :class:`Report`.

    Raises:
        RequestError: The file, its columns or the target do not fit the request.
        WorkError: Writing failed; nothing is left behind.
    """
    folder = Path(data_path) / dataset
    check_name(dataset)
    contents = find_inputs(source, encoding)
    target = folder / f"{dataset}.inter"
    tables = {
        id_field: table if isinstance(table, FeatureTable) else FeatureTable(table)
        for id_field, table in (("item_id", items), ("user_id", users))
        if table is not None
    }
    targets = {id_field: folder / f"{dataset}.{id_field.removesuffix('_id')}" for id_field in tables}
    for content in contents:
        if same_file(content.path, target):
            raise RequestError(f"input={source} is what would be written: give another --dataset")
    check_folder(folder, target, overwrite, {target.name, *(file.name for file in targets.values())})
    if format is not None and format not in FORMATS:
        raise RequestError(f"format={format!r}: one of {', '.join(FORMATS)}")
    format = format or _guess_format(contents[0], is_delimited=not (separator is quote is columns is header is None))
    report = Report(str(source), str(target), {})
    text: dict[str, Any] = {"separator": separator, "quote": quote, "encoding": encoding}
    for name, value in {**text, "header": header, "columns": columns}.items():
        if value is not None and name not in _OPTIONS[format]:
            raise RequestError(f"{name}={value!r}: {source} is read as {format}, which has none; leave it out")
    roles = {"user_id": user, "item_id": item, "timestamp": time}
    options: dict[str, Any] = {"keep": keep, "where": where, "time_format": time_format}
    options["item_separator"] = item_separator
    if format == "sequences":
        if any(roles.values()) or any(options.values()) or file_order:
            raise RequestError(
                f"format=sequences has no columns, and items in time order: leave user, item, time, file_order, "
                f"{', '.join(options)} out"
            )
        first_line, batches = HEADER, sequence_rows(contents, report)
    else:
        names = column_names(header, columns, "columns")
        table = open_table(contents, format, bad_row=report.bad_row, columns=names, **text)
        chosen = Interactions(table, str(source), report, roles, file_order=file_order, **options)
        first_line, batches = chosen.header, chosen.rows()
    try:
        with scratch_folder(folder.parent, folder.name) as scratch:
            lines: dict[str, tuple[list[str], Report]] = {}
            for id_field, features in tables.items():
                part = Report(str(features.source), str(targets[id_field]), {}, unit=features.unit(id_field))
                names = column_names(header, features.columns, f"{part.unit}_columns")
                inputs = find_inputs(features.source, encoding, part.unit)
                if features.columns is not None and (kind := kind_of(inputs[0])) != "csv":
                    raise RequestError(
                        f"{part.unit}_columns: {features.source} is {kind}, which names its columns itself"
                    )
                unreadable: dict[str, RequestError] = {}
                opened = open_table(
                    inputs, bad_row=part.bad_row, bad_column=unreadable.setdefault, columns=names, **text
                )
                separator = value_separator or VALUE_SEPARATOR
                names_line, rows = feature_rows(opened, id_field, features, separator, part, unreadable)
                write_rows(scratch / targets[id_field].name, names_line, rows, part)
                report.features.append(part)
                lines[id_field] = rows[0][id_field], part
            write_rows(scratch / target.name, first_line, counted(batches, lines), report)
            move_into(scratch, folder)
    except OSError as error:
        raise not_written(folder, failed_write(error) or error, "set --data_path=FOLDER") from error
    return report


def column_names(header: bool | None, columns: Sequence[str] | None, flag: str) -> Sequence[str] | None:
    """Names of columns without a header, empty where they are numbers; None where there is a header.

    Raises:
        RequestError: There are names and a header, or names that are alike.
    """
    if columns is not None and header:
        raise RequestError(f"{flag}: they name the columns of a file without a header, and header=true")
    if columns is not None and (not columns or len(set(columns)) < len(columns) or not all(columns)):
        raise RequestError(f"{flag}={list(columns)}: a name for each column, each another one")
    return columns if columns is not None else [] if header is False else None


_OPTIONS = {
    "csv": {"separator", "quote", "encoding", "header", "columns"},
    "json": {"encoding"},
    "parquet": set(),
    "sequences": {"encoding"},
}


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
