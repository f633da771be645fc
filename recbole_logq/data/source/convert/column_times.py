"""Times of a column as seconds since 1970."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.types as kinds

from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.data.source.convert.number_text import floats, text_of
from recbole_logq.data.source.tables.cell_text import plain
from recbole_logq.errors import RequestError

# A timestamp at least this large is in milli-, micro- or nanoseconds: seconds reach 1e11 in the year 5138.
UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))
_TICKS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class Clock:
    """Times of one column; the first batch decides what numbers and texts are.

    Args:
        source: The file, for errors.
        report: Report that says what the times were.
        form: form of dates in the codes of strftime (``%d/%m/%Y %H:%M``); numbers or ISO 8601 when None.
    """

    def __init__(self, source: Path, report: Report, form: str | None = None) -> None:
        self.source, self.report, self.form = source, report, form
        self.divisor: float | None = None
        self.dates = False

    def seconds(self, cells: Any) -> np.ndarray:
        """Float64 ``[rows]``, not finite where there is no readable time.

        Args:
            cells: An Arrow array.

        Raises:
            RequestError: These are no times.
        """
        cells = plain(cells)
        kind = cells.type
        if self.form is not None:
            return self._of_form(cells)
        if kinds.is_date(kind):
            cells = cells.cast(pa.timestamp("s"))
        if kinds.is_date(kind) or kinds.is_timestamp(kind):
            return self._of_dates(cells)
        text = kinds.is_string(kind) or kinds.is_large_string(kind) or kinds.is_null(kind)
        if not (text or kinds.is_integer(kind) or kinds.is_floating(kind) or kinds.is_decimal(kind)):
            raise RequestError(f"{self.source}: the times are {kind}; name another column with --time=COLUMN")
        numbers = floats(cells)
        if self.divisor is None:
            self._decide(cells, numbers)
        if self.dates:
            return _since_1970(pd.to_datetime(_series(cells), utc=True, errors="coerce", format="ISO8601"))
        return numbers / (self.divisor or 1.0)

    def _of_form(self, cells: Any) -> np.ndarray:
        if kinds.is_date(cells.type) or kinds.is_timestamp(cells.type):
            raise RequestError(f"time_format={self.form}: the file has {cells.type} there already, leave it out")
        texts = _series(cells)
        try:
            seconds = _since_1970(pd.to_datetime(texts, utc=True, errors="coerce", format=self.form))
        except (ValueError, re.error) as error:
            raise RequestError(f"time_format={self.form}: {' '.join(str(error).split())}") from error
        filled = texts.dropna()
        if not self.dates and len(filled) and np.isnan(seconds).all():
            raise RequestError(f"time_format={self.form}: {self.source} has times such as {filled.iloc[0][:40]!r}")
        self.dates = self.dates or bool(np.isfinite(seconds).any())
        self.report.note(f"dates of the form {self.form} became seconds since 1970, UTC where they name no time zone")
        return seconds

    def _of_dates(self, cells: Any) -> np.ndarray:
        zone = cells.type.tz
        self.report.note("dates became seconds since 1970, UTC" + ("" if zone else ", as they name no time zone"))
        ticks = cells.cast(pa.int64())
        missing = np.asarray(ticks.is_null())
        seconds = ticks.fill_null(0).to_numpy(zero_copy_only=False) / _TICKS[cells.type.unit]
        return np.where(missing, np.nan, seconds)

    def _decide(self, cells: Any, numbers: np.ndarray) -> None:
        if np.isnan(numbers).all():
            texts = _series(cells).dropna()
            texts = texts[texts.str.strip() != ""]
            if not len(texts):  # the next batch decides
                return
            if pd.to_datetime(texts, utc=True, errors="coerce", format="ISO8601").isna().all():
                raise RequestError(
                    f"{self.source}: times such as {texts.iloc[0][:40]!r} are neither numbers nor ISO 8601 dates; "
                    "say their form, such as --time_format='%d/%m/%Y %H:%M', or name another column with --time=COLUMN"
                )
            self.divisor, self.dates = 1.0, True
            self.report.note("dates became seconds since 1970, UTC")
            return
        self.divisor = 1.0
        if kinds.is_float16(cells.type) or kinds.is_float32(cells.type):
            step = float(np.spacing(np.float32(np.nanmax(np.abs(numbers)))))
            self.report.note(
                f"the file has times as {cells.type}, whose steps are about {step:g} here: ties follow the file"
            )
        if _are_days(numbers):
            first = text_of(float(numbers[np.isfinite(numbers)][0]))
            self.report.note(
                f"times such as {first} are taken as numbers; where they are days, --time_format=%Y%m%d reads them"
            )
        size = float(np.nanmedian(np.abs(numbers)))
        for least, divisor, name in UNITS:
            if size >= least:
                self.divisor = divisor
                self.report.note(f"times are in {name} and became seconds")
                return


def _are_days(numbers: np.ndarray) -> bool:
    """Whether all look like 20240131."""
    known = numbers[np.isfinite(numbers)]
    year, month, day = known // 10_000, known // 100 % 100, known % 100
    parts = [(year, 1900, 2100), (month, 1, 12), (day, 1, 31)]
    return len(known) > 0 and all(bool(((least <= part) & (part <= most)).all()) for part, least, most in parts)


def _since_1970(dates: Any) -> np.ndarray:
    seconds = (dates - pd.Timestamp(0, tz="UTC")) / np.timedelta64(1, "s")
    return np.asarray(seconds.to_numpy(np.float64, na_value=np.nan))


def _series(cells: Any) -> pd.Series:
    return pd.Series(cells.cast(pa.large_string()).to_pylist(), dtype=object)
