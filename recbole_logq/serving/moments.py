"""Times that a request gives: when it is asked, and when a visitor had things."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_logq.data.dataset.event_times import UNITS, unit_of
from recbole_logq.errors import RequestError

_LARGEST = 2.0**53


class Moments:
    """What a model reads of times, in the unit of its data.

    Args:
        reads_times: Whether it sees when the items of a history were had.
        knows_request: Whether it knows when it is asked.
        unit: Unit of the data's times, one of :data:`UNITS`; None where they do not count from 1970 on.
    """

    def __init__(self, reads_times: bool, knows_request: bool, unit: str | None) -> None:
        self.reads_times, self.knows_request, self.unit = reads_times, knows_request, unit

    def of_histories(self, times: Sequence[Sequence[Any]] | None, histories: Sequence[Sequence[str]]) -> Tensor | None:
        """When each item of visitors' histories was had, float64 ``[items]``; None for a model that reads none.

        Args:
            times: Times of the items of each history, in order: numbers in the unit of the data, or dates.
            histories: Items.

        Raises:
            RequestError: Times are missing, too many, or none that the model can read.
        """
        if not self.reads_times:
            if times is not None:
                raise RequestError("times: the model reads no times, leave them out")
            return None
        if times is None:
            raise RequestError(
                "the model reads when a visitor had each item: give --times=T1,T2, one an item, or times="
            )
        times = _listed(times)
        if not isinstance(times, list):
            raise RequestError(f"times: {times!r} is no list; give a list of times for each history")
        if len(times) != len(histories):
            raise RequestError(f"times: {len(times)} lists for {len(histories)} histories, give one a history")
        times = [_listed(moments) for moments in times]
        for row, (moments, items) in enumerate(zip(times, histories, strict=True), start=1):
            if not isinstance(moments, list):
                raise RequestError(f"times: {moments!r} for history {row} is no list; give a list of times for each")
            if len(moments) != len(items):
                raise RequestError(
                    f"times: {len(moments)} for the {len(items)} items of history {row}, give one an item"
                )
        return torch.tensor(
            [self._moment("times", moment) for moments in times for moment in moments], dtype=torch.float64
        )

    def of_requests(self, at: Any, n_rows: int) -> Tensor | None:
        """When each row asks, float64 ``[rows]``; None for a model that does not know.

        Args:
            at: A number in the unit of the data, or a date, for all rows or a list with one a row (None in it for now);
                None for now.
            n_rows: Rows.

        Raises:
            RequestError: A time is none that the model can read, or now is not known in the unit of the data.
        """
        if not self.knows_request:
            if at is not None:
                raise RequestError("at: the model does not read when it is asked, leave it out")
            return None
        listed = _listed(at)
        rows = listed if isinstance(listed, list) else [at] * n_rows
        if len(rows) != n_rows:
            raise RequestError(f"at: {len(rows)} times for {n_rows} rows, give one for all or one a row")
        now = self._now() if any(_missing(at_row) for at_row in rows) else 0.0
        return torch.tensor(
            [now if _missing(at_row) else self._moment("at", at_row) for at_row in rows], dtype=torch.float64
        )

    def _now(self) -> float:
        if self.unit is None:
            raise RequestError(
                "the model knows when it is asked, and its data does not count time from 1970 on, so that now is not "
                "known: set --at=TIME, in the unit of the data"
            )
        return time.time() / UNITS[self.unit]

    def _moment(self, name: str, value: Any) -> float:
        try:
            number = math.nan if isinstance(value, (bool, np.datetime64)) else float(value)
        except (TypeError, ValueError):
            number = math.nan
        except OverflowError as error:
            raise RequestError(f"{name}: a number beyond float64 is no time") from error
        if math.isnan(number):
            number = self._date(name, value)
        if not abs(number) <= _LARGEST:
            raise RequestError(f"{name}: {value!r} is no time; give a number in the unit of the data, or a date")
        if self.unit is not None:
            self._check_unit(name, value, number)
        return number

    def _check_unit(self, name: str, value: Any, number: float) -> None:
        """Refuse what is a time of today in another unit, or reads as a date without its dashes."""
        if unit_of(number) not in (None, self.unit):
            raise RequestError(
                f"{name}: {value!r} is a time of today in {unit_of(number)}, and the data counts {self.unit} since "
                "1970; give it in these, or as a date"
            )
        if isinstance(value, str) and re.fullmatch(r"\d{8}", value.strip()) and not math.isnan(self._date(name, value)):
            raise RequestError(f"{name}: {value!r} may be a date or a number; write a date as YYYY-MM-DD")

    def _date(self, name: str, value: Any) -> float:
        try:
            parsed = datetime.fromisoformat(str(value))
        except ValueError:
            return math.nan
        if self.unit is None:
            raise RequestError(f"{name}: {value!r} is a date, and the data does not count from 1970 on; give a number")
        return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp() / UNITS[self.unit]


def _listed(values: Any) -> Any:
    """A list of what is one of several values, arrays and columns included; anything else as it is."""
    several = isinstance(values, Sequence) and not isinstance(values, str)
    return list(values) if several or getattr(values, "ndim", None) else values


def _missing(value: Any) -> bool:
    return value is None or value == ""
