"""Cells as text: the digits of numbers, never a form in which two of them look the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kinds

from recbole_logq.errors import RequestError

_EXACT = {16: 2**11, 32: 2**24, 64: 2**53}
"""Below it every whole number has a float of that many bits of its own."""


def texts(cells: Any, label: str) -> list[str | None]:
    """The cells of a column of names, None where one has none.

    Args:
        cells: An Arrow array.
        label: Column and file, as the error names them.

    Raises:
        RequestError: The column holds what is no name, such as lists, or numbers that are not exact.
    """
    cells = plain(cells)
    kind = cells.type
    if kinds.is_floating(kind):
        return _floats(cells, label)
    if kinds.is_decimal(kind):
        return [None if value is None else f"{value:f}" for value in cells.to_pylist()]
    if kinds.is_binary(kind) or kinds.is_large_binary(kind) or kinds.is_fixed_size_binary(kind):
        return _bytes(cells, label)
    if kinds.is_nested(kind) or kinds.is_duration(kind) or kinds.is_interval(kind):
        raise RequestError(f"{label} holds {kind} and names are wanted: store them as text")
    try:
        return cells.cast(pa.large_string()).to_pylist()
    except pa.ArrowException as error:
        raise RequestError(f"{label} holds {kind} and names are wanted: store them as text") from error


def lists_of_texts(cells: Any, label: str) -> list[list[str] | None]:
    """The same for a column of lists.

    Raises:
        RequestError: A list has an empty place, or holds what is no name.
    """
    cells = plain(cells)
    flat = texts(cells.flatten(), label)
    if None in flat:
        raise RequestError(f"{label}: a list has an empty place")
    lists: list[list[str] | None] = []
    ends = 0
    for length in pc.list_value_length(cells).to_pylist():
        lists.append(None if length is None else [str(text) for text in flat[ends : ends + length]])
        ends += length or 0
    return lists


def holds_lists(cells: Any) -> bool:
    """Whether a column is one of lists."""
    kind = cells.type
    return bool(kinds.is_list(kind) or kinds.is_large_list(kind) or kinds.is_fixed_size_list(kind))


def plain(cells: Any) -> Any:
    """The cells without dictionary, run ends and extension."""
    while True:
        kind = cells.type
        if kinds.is_dictionary(kind):
            cells = cells.dictionary_decode()
        elif kinds.is_run_end_encoded(kind):
            cells = pc.run_end_decode(cells)
        elif str(kind) == "string_view":
            cells = cells.cast(pa.large_string())
        elif isinstance(kind, pa.BaseExtensionType):
            if kind.extension_name == "arrow.uuid":
                return pa.array([None if value is None else str(value) for value in cells.to_pylist()], pa.string())
            cells = cells.storage
        else:
            return cells


def _floats(cells: Any, label: str) -> list[str | None]:
    bits, values = cells.type.bit_width, cells.to_numpy(zero_copy_only=False)
    known = values[~np.isnan(values)]
    if len(known) and not np.abs(known).max() < _EXACT[bits]:
        worst = known[np.abs(known).argmax()]
        raise RequestError(
            f"{label} holds {worst} as a {bits}-bit float, and from {_EXACT[bits]:,} on several whole numbers become "
            "one: store the names as whole numbers or as text"
        )
    return [
        None
        if value != value
        else str(int(value))
        if value == int(value)
        else np.format_float_positional(value, trim="-")
        for value in values
    ]


def _bytes(cells: Any, label: str) -> list[str | None]:
    try:
        return [None if value is None else value.decode("utf-8") for value in cells.to_pylist()]
    except UnicodeDecodeError as error:
        raise RequestError(f"{label} holds bytes that are no text in UTF-8: store the names as text") from error
