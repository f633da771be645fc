"""The tables of a folder: Parquet as it is written here, without compression, and what is in it checked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from recbole_logq.errors import RequestError
from recbole_logq.serving.parquet_layout import check_layout
from recbole_logq.serving.plain import visible

PLAINLY = {"compression": "NONE", "use_dictionary": False, "write_statistics": False, "store_schema": False}
"""How tables are written: as large as they are, and what `check_layout` can follow."""
_ITEM, _TITLE, _USER, _HISTORY, _COLUMN, _TOKEN = "item", "title", "user", "history", "column", "token"


def write_items(file: Path, items: Sequence[str], titles: Sequence[str | None] | None = None) -> None:
    """Write original tokens, the first has id 1, and titles, None where an item has none."""
    table = {_ITEM: pa.array(items, pa.string())}
    if titles is not None:
        table[_TITLE] = pa.array(titles, pa.string())
    _write(file, pa.table(table))


def read_items(file: Path, n_items: int) -> pa.Table:
    """What :func:`write_items` wrote.

    Raises:
        RequestError: The file is damaged, or an item is missing or there twice.
    """
    table = _read(file, {_ITEM: pa.string()}, {_TITLE: pa.string()}, n_items)
    _check_tokens(file, table[_ITEM])
    return table


def write_users(file: Path, users: Sequence[str], history: tuple[np.ndarray, np.ndarray]) -> None:
    """Write original tokens, the first has id 1, and what they had: offsets ``[n_users + 1]`` into item ids."""
    lists = pa.LargeListArray.from_arrays(pa.array(history[0], pa.int64()), pa.array(history[1], pa.int32()))
    _write(file, pa.table({_USER: pa.array(users, pa.string()), _HISTORY: lists}))


def read_users(file: Path, n_users: int, n_items: int, n_interactions: int) -> tuple[pa.Array, np.ndarray, np.ndarray]:
    """What :func:`write_users` wrote: tokens, offsets into item ids, and those.

    Raises:
        RequestError: The file is damaged, a user is missing or there twice, or a history holds what is no item.
    """
    table = _read(file, {_USER: pa.string(), _HISTORY: pa.list_(pa.int32())}, {}, n_users)
    _check_tokens(file, table[_USER])
    lists = table[_HISTORY].chunks  # all in one would count their items in 32 bits
    values = [part.flatten() for part in lists]
    if any(part.null_count for part in (*lists, *values)):
        raise RequestError(f"{file}: a history is missing; export again")
    ids = np.concatenate([_numbers(part, np.int32) for part in values])
    if len(ids) != n_interactions:
        raise RequestError(f"{file} holds {len(ids):,} interactions and not {n_interactions:,}: export again")
    if len(ids) and not 1 <= ids.min() <= ids.max() <= n_items:
        raise RequestError(f"{file}: a history has an item that is none of the {n_items:,}; export again")
    sizes = [_numbers(pc.list_value_length(part), np.int32) for part in lists]
    ends = np.concatenate(sizes).cumsum(dtype=np.int64)
    return table[_USER].combine_chunks(), np.concatenate([[0], ends]), ids


def write_context(file: Path, tokens: Mapping[str, Sequence[str]]) -> None:
    """Write the tokens of the columns that the query reads of a request, by column; the first has id 1."""
    rows = [{_COLUMN: name, _TOKEN: token} for name, known in tokens.items() for token in known]
    _write(file, pa.Table.from_pylist(rows, pa.schema({_COLUMN: pa.string(), _TOKEN: pa.string()})))


def read_context(file: Path, sizes: Mapping[str, int]) -> dict[str, list[str]]:
    """What :func:`write_context` wrote.

    Args:
        file: Written by it.
        sizes: Number of tokens of each column.

    Raises:
        RequestError: The file is damaged, of other columns, or a token is missing or there twice.
    """
    table = _read(file, {_COLUMN: pa.string(), _TOKEN: pa.string()}, {}, sum(sizes.values()))
    if table[_COLUMN].null_count or table[_TOKEN].null_count:
        raise RequestError(f"{file}: a token is missing; export again")
    known: dict[str, list[str]] = {name: [] for name in sizes}
    for name, token in zip(table[_COLUMN].to_pylist(), table[_TOKEN].to_pylist(), strict=True):
        if name not in known:
            raise RequestError(f"{file} has tokens of {name[:100]!r}, which the model does not read: export again")
        known[name].append(token)
    for name, tokens in known.items():
        if len(tokens) != sizes[name] or len(set(tokens)) < len(tokens):
            raise RequestError(f"{file} does not have {sizes[name]:,} different tokens of {name!r}: export again")
    return known


def _write(file: Path, table: pa.Table) -> None:
    pq.write_table(table, file, **PLAINLY)


def _read(file: Path, columns: dict[str, Any], optional: dict[str, Any], n_rows: int) -> pa.Table:
    try:
        n_found = check_layout(file)
        if n_found != n_rows:
            raise RequestError(f"{file} has {n_found:,} rows and not {n_rows:,}: export again")
        with pq.ParquetFile(file, memory_map=False) as opened:
            names = opened.schema_arrow.names
            if set(names) - optional.keys() != columns.keys() or len(set(names)) < len(names):
                raise RequestError(f"{file} has other columns than {', '.join(columns)}: export again")
            for name in names:
                kind = opened.schema_arrow.field(name).type
                if kind != {**columns, **optional}[name]:
                    raise RequestError(f"{file}: {name} is of type {visible(str(kind), 100)}; export again")
            table = opened.read(use_threads=False)
        table.validate(full=True)
    except RequestError:
        raise
    except (OSError, ValueError, OverflowError, pa.ArrowException) as error:
        # Arrow says it in sentences of its own.
        reason = f" ({error})" if type(error) is ValueError else ""
        raise RequestError(f"{file} is not as `export` has written it{reason}: export again") from error
    if len(table) != n_rows:
        raise RequestError(f"{file} is damaged: export again")
    return table


def _numbers(array: pa.Array, dtype: Any) -> np.ndarray:
    # `to_numpy` imports pandas, which takes a good part of the time in which a folder is opened.
    return np.from_dlpack(array) if len(array) else np.empty(0, dtype)


def _check_tokens(file: Path, column: pa.ChunkedArray) -> None:
    if column.null_count or pc.count_distinct(column).as_py() < len(column):
        raise RequestError(f"{file}: a name is missing or there twice; export again")
