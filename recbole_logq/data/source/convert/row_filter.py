"""Rows that fulfil what the user asks of their columns."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.number_text import floats
from recbole_logq.data.source.tables.cell_text import texts
from recbole_logq.data.source.tables.table import Table, WrappedTable
from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest

_SIGN = re.compile(r"\s*(!=|>=|<=|=|>|<)\s*")
# A number, and no code: 007 is another name than 7, and 12e4 than 120000.
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)(\.[0-9]*)?")
_ORDER: dict[str, Callable[[Any, Any], Any]] = {
    ">": operator.gt,
    ">=": operator.ge,
    "<": operator.lt,
    "<=": operator.le,
}


class Condition(NamedTuple):
    """What a column must be.

    Attributes:
        text: the condition as it was given.
        column: name of the column.
        sign: one of ``=``, ``!=``, ``>``, ``>=``, ``<``, ``<=``.
        value: value on the other side.
    """

    text: str
    column: str
    sign: str
    value: str

    def holds(self, cells: Any, place: str) -> np.ndarray:
        """Bool ``[rows]``; an empty cell fulfils ``!=`` alone, and ``5`` and ``5.0`` are one value.

        Args:
            cells: an Arrow array.
            place: the file, for errors.
        """
        if self.sign in _ORDER:
            return np.asarray(_ORDER[self.sign](floats(cells), float(self.value)))
        values = texts(cells, f"{self.column} of {place}")
        wanted = _value(self.value)
        equal = {text: _value(text or "") == wanted for text in set(values)}
        same = np.array([equal[text] for text in values], dtype=bool)
        return same if self.sign == "=" else ~same


def conditions(texts: str | Sequence[str] | None, names: Sequence[str]) -> list[Condition]:
    """The conditions of ``--where``.

    Args:
        texts: one or several of ``COLUMN=VALUE`` (or ``!=``, ``>``, ``>=``, ``<``, ``<=``).
        names: names of the table's columns.

    Raises:
        RequestError: One is no condition, or its column is not there.
    """
    chosen = []
    for text in [texts] if isinstance(texts, str) else texts or []:
        # A name may hold a sign, too: the first one behind a name that there is.
        parts = [
            Condition(text, text[: sign.start()], sign[1], text[sign.end() :])
            for sign in _SIGN.finditer(text)
            if sign.start()
        ]
        if not parts:
            raise RequestError(f"where={text!r}: COLUMN=VALUE, or with !=, >, >=, <, <=")
        condition = next((part for part in parts if part.column in names), parts[0])
        if condition.column not in names:
            raise RequestError(
                f"where={text!r}: there is no column {condition.column}{nearest(condition.column, set(names))}"
            )
        if condition.sign in _ORDER:
            try:
                number = float(condition.value)
            except ValueError:
                number = math.nan
            if math.isnan(number):
                raise RequestError(f"where={text!r}: {condition.sign} compares numbers")
        chosen.append(condition)
    return chosen


def _value(text: str) -> str | Decimal:
    """What a text is compared as: a number by its value, a truth value in one case, anything else as it is."""
    if _NUMBER.fullmatch(text):
        return Decimal(text)
    return text.lower() if text in ("True", "TRUE", "False", "FALSE") else text


class Filtered(WrappedTable):
    """The rows of a table that fulfil all conditions; the others are counted by the first that they miss.

    Args:
        table: the table.
        conditions: conditions that a row fulfils.
        report: report that counts the rows that are left out.
        place: the file, for errors.
    """

    def __init__(self, table: Table, conditions: Sequence[Condition], report: Report, place: str) -> None:
        super().__init__(table)
        self.conditions, self.report, self.place = conditions, report, place

    def batches(self, columns: Sequence[str], n_rows: int) -> Iterator[dict[str, Any]]:
        """As :meth:`Table.batches`."""
        names = list(dict.fromkeys([*columns, *(condition.column for condition in self.conditions)]))
        for batch in self.table.batches(names, n_rows):
            kept = np.ones(len(next(iter(batch.values()))), dtype=bool)
            for condition in self.conditions:
                holds = condition.holds(batch[condition.column], self.place)
                self.report.read += int((kept & ~holds).sum())
                self.report.drop(f"not {condition.text}", (kept & ~holds).sum())
                kept &= holds
            yield {name: batch[name].filter(pa.array(kept)) for name in columns}
        for condition in self.conditions:
            if f"not {condition.text}" not in self.report.dropped:
                self.report.note(f"where: {condition.text} leaves no row out")
