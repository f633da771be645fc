"""Tables of items or users as the rows of an atomic file: which type each column gets, and what is left out."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as kinds

from recbole_logq.data.source.convert import atomic_rows
from recbole_logq.data.source.convert.columns import KINDS, atomic_name, guess
from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.names import Names
from recbole_logq.data.source.convert.number_text import Numbers, check_parts, floats, text_of
from recbole_logq.data.source.tables.cell_text import holds_lists, lists_of_texts, plain, texts
from recbole_logq.data.source.tables.table import Table
from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest

VALUE_SEPARATOR = "|"
"""What separates values in a cell of a column with several, as in MovieLens' genres."""
_LISTS = re.compile(r"genres?|categor(y|ies)|tags?|keywords?|topics?|labels?", re.I)
_ID = re.compile(r"(?:^|.*(?:[^A-Za-z]|[a-z](?=[A-Z])))(?i:ids?|code|zip|postcode|asin|isbn)")


@dataclass(frozen=True)
class FeatureTable:
    """A table of items or users.

    Attributes:
        source: its place, as that of the interactions.
        id: column of the ids; guessed from its name when None.
        columns: names of its columns where it is a CSV without a header.
        keep: types of columns by their names; no other column is kept where there is one. All are kept when None.
    """

    source: str | Path
    id: str | None = None
    columns: Sequence[str] | None = None
    keep: dict[str, str] | None = None

    @staticmethod
    def unit(id_field: str) -> str:
        """What its rows are: ``items`` or ``users``."""
        return f"{id_field.removesuffix('_id')}s"


def feature_rows(
    table: Table,
    target: str,
    request: FeatureTable,
    separator: str,
    report: Report,
    unreadable: dict[str, RequestError],
) -> tuple[list[str], list[atomic_rows.Rows]]:
    """Header and rows of a ``.item`` or ``.user`` file.

    A column becomes ``float`` where all that it holds are numbers (but no code with leading zeros and no id), a
    ``token_seq`` where it holds lists, or texts with the separator in a column named like genres or tags, and otherwise
    a ``token``, as titles are.

    Args:
        table: the source.
        target: ``item_id`` or ``user_id``.
        request: the settings for it.
        separator: separator of the values in a text that becomes a ``token_seq``.
        report: report of what was read, left out and written.
        unreadable: columns of the table that hold more than values and lists of values, which it fills in while it is
            read.

    Raises:
        RequestError: There is no column of ids, a column that was asked for is not there or cannot be kept, or no row
            is left.
    """
    flag, source, key, keep = report.unit, str(request.source), request.id, request.keep or {}
    key = key if key is not None else guess(target, table.names)
    if key is None:
        raise RequestError(
            f"{source} has columns {', '.join(table.names)}: say which has the ids with --{flag}_id=COLUMN"
        )
    for name in [key, *keep]:
        if name not in table.names:
            raise RequestError(f"{flag}: {source} has no column {name}{nearest(name, set(table.names))}")
        if table.names.count(name) > 1:
            raise RequestError(f"{source} has {table.names.count(name)} columns called {name}: rename them")
    if wrong := [kind for kind in keep.values() if kind not in KINDS]:
        raise RequestError(f"{flag}_keep: {wrong[0]} is not a type; choose one of {', '.join(sorted(KINDS))}")
    names_kept = list(keep) or [name for name in table.names if name != key and table.names.count(name) == 1]
    columns = _read(table, [key, *(name for name in names_kept if name != key)], keep, unreadable, report)
    ids = [text if text and text.strip() else None for text in texts(columns.pop(key), f"{key} of {source}")]
    first = {text: row for row, text in reversed(list(enumerate(ids))) if text is not None}
    rows = np.array(sorted(first.values()), dtype=np.int64)
    report.read += len(ids)
    report.drop(f"no {target}", ids.count(None))
    report.drop(f"{target} has a line already, and the first one is kept", len(ids) - ids.count(None) - len(rows))
    if not len(rows):
        raise RequestError(f"{source} has no row with an id")
    names = Names(target, report)
    header, values = [f"{target}:token"], {target: names.of([ids[row] or "" for row in rows])}
    names.close()
    report.columns[target] = f"{key}"
    for name, cells in columns.items():
        column = atomic_name(name)
        if column in values:
            report.note(f"column {name} is left out: the atomic file has a column {column} already")
            continue
        kind = keep.get(name) or _kind(name, cells, separator)
        values[column] = _cells(cells.take(pa.array(rows)), kind, separator, name, source, report)
        header.append(f"{column}:{kind}")
        report.columns[column] = f"{name} ({kind}, {'given' if name in keep else 'by what it holds'})"
    report.left_out = [name for name in table.names if name != key and name not in columns]
    report.notes += table.notes
    report.written = len(rows)
    return header, [values]


def _read(
    table: Table, columns: Sequence[str], keep: dict[str, str], unreadable: dict[str, RequestError], report: Report
) -> dict[str, Any]:
    """Columns as Arrow arrays; what is nested deeper than a list is left out where nobody asked for it."""
    required = [columns[0], *keep]
    parts: dict[str, list[Any]] = {name: [] for name in columns}
    for batch in table.batches(columns, atomic_rows.ROWS_PER_BATCH):
        for name in required:
            if name in unreadable:
                raise unreadable[name]
        for name in columns:
            parts[name].append(plain(batch[name]))
    joined = {}
    for name in columns:
        try:
            if name in unreadable:
                raise unreadable[name]
            joined[name] = _joined(parts[name], name)
        except RequestError as error:
            if name in required:
                raise
            report.note(f"column {name} is left out: {error}")
    return joined


def _joined(arrays: list[Any], name: str) -> Any:
    """One array of a column's batches."""
    lists = any(holds_lists(array) for array in arrays)
    if lists and any(not holds_lists(array) and array.null_count < len(array) for array in arrays):
        raise RequestError(f"{name} is a list in some rows, and none in others")
    if lists:  # a batch of JSON without a list has text
        arrays = [array if holds_lists(array) else pa.nulls(len(array), pa.list_(pa.string())) for array in arrays]
    try:
        joined = pa.concat_arrays(arrays) if arrays else pa.array([], pa.string())
    except pa.ArrowException as error:
        types = sorted({str(array.type) for array in arrays})
        raise RequestError(f"{name} holds {' and '.join(types)}: store it as one of them") from error
    kind = joined.type
    if kinds.is_nested(kind) and not (holds_lists(joined) and not kinds.is_nested(kind.value_type)):
        raise RequestError(f"{name} holds {kind}: values and lists of values can be kept")
    return joined


def _kind(name: str, cells: Any, separator: str) -> str:
    if holds_lists(cells):
        return "float_seq" if kinds.is_floating(cells.type.value_type) else "token_seq"
    if _ID.fullmatch(name):
        return "token"
    if kinds.is_floating(cells.type) or kinds.is_integer(cells.type) or kinds.is_boolean(cells.type):
        return "float"
    if not (kinds.is_string(cells.type) or kinds.is_large_string(cells.type)):
        return "token"
    known = [text for text in cells.to_pylist() if text and text.strip()]
    is_code = any(re.match(r"\s*0\d", text) for text in known)
    if known and not is_code and np.isfinite(floats(pa.array(known, pa.string()))).all():
        return "float"
    return "token_seq" if _LISTS.search(name) and any(separator in text for text in known) else "token"


def _cells(cells: Any, kind: str, separator: str, name: str, source: str, report: Report) -> list[str]:
    """Text of a column as it is written."""
    column, label = atomic_name(name), f"{name} of {source}"
    if kind == "float":
        if holds_lists(cells):
            raise RequestError(f"{label} holds lists: keep it as float_seq or token_seq")
        numbers = Numbers(label, f"--{report.unit}_keep.{name}")
        values = numbers.of(cells)
        if numbers.note:
            report.note(f"{column} is empty in some rows: {numbers.note}")
        return [text_of(value) for value in values.tolist()]
    names = Names(column, report)
    if kind == "token":
        if holds_lists(cells):
            raise RequestError(f"{label} holds lists: keep it as token_seq")
        tokens = names.of([text or "" for text in texts(cells, label)])
        names.close()
        return tokens
    if holds_lists(cells):
        lists = lists_of_texts(cells, label)
    else:
        lists = [text.split(separator) if text else [] for text in texts(cells, label)]
    blanks, rows = 0, []
    for parts in lists:
        words = ["_".join(part.split()) for part in parts or []]
        blanks += sum(word != part for word, part in zip(words, parts or [], strict=True))
        rows.append(" ".join(names.of([word for word in words if word])))
    names.close()
    if kind == "float_seq":
        check_parts(rows, label)
    if blanks:
        report.note(f"{column}: blanks separate its values, so {blanks:,} values have an underscore for each of theirs")
    return rows
