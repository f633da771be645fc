"""Rows that fulfil what the user asks of their columns."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.number_text import floats
from recbole_logq.data.source.tables.cell_text import texts
from recbole_logq.data.source.tables.table import Table, WrappedTable
from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest

_FORM = re.compile(r"(?P<column>.+?)\s*(?P<sign>!=|>=|<=|=|>|<)\s*(?P<value>.*)")
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
        """Bool ``[rows]``; an empty cell fulfils ``!=`` alone.

        Args:
            cells: an Arrow array.
            place: the file, for errors.
        """
        if self.sign in _ORDER:
            return np.asarray(_ORDER[self.sign](floats(cells), float(self.value)))
        values = texts(cells, f"{self.column} of {place}")
        same = np.array([(text or "") == self.value for text in values], dtype=bool)
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
        match = _FORM.fullmatch(text)
        if match is None:
            raise RequestError(f"where={text!r}: COLUMN=VALUE, or with !=, >, >=, <, <=")
        condition = Condition(text, *match.groups())
        if condition.column not in names:
            raise RequestError(
                f"where={text!r}: there is no column {condition.column}{nearest(condition.column, set(names))}"
            )
        if condition.sign in _ORDER:
            try:
                float(condition.value)
            except ValueError:
                raise RequestError(f"where={text!r}: {condition.sign} compares numbers") from None
        chosen.append(condition)
    return chosen


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
