"""Rows as they have to be for RecBole to read back what was meant."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
from pandas._libs.parsers import STR_NA_VALUES

from recbole_logq.data.convert.report import Report
from recbole_logq.errors import RequestError

# A timestamp at least this large is in milli-, micro- or nanoseconds: seconds reach 1e11 in the year 5138.
UNITS = ((1e17, 1e9, "nanoseconds"), (1e14, 1e6, "microseconds"), (1e11, 1e3, "milliseconds"))

# What pandas, as RecBole calls it, takes for something else than text.
_NOT_A_NAME = "|".join(re.escape(word) for word in sorted(STR_NA_VALUES - {""}))
_UNREADABLE = (
    (r"[\t\r\n]+", " ", "tabs and line breaks in {} became spaces"),
    (r'"', "''", "quotation marks in {} became two apostrophes"),
    (rf"^({_NOT_A_NAME})$", r"\1_", "names in {} such as NA or null got an underscore"),
)


def clean(frame: pd.DataFrame, columns: dict[str, tuple[str, str, str]], clock: Clock, report: Report) -> pd.DataFrame:
    for target in ("user_id", "item_id"):
        frame[target] = frame[target].astype("string").str.strip()
        missing = frame[target].isna() | (frame[target] == "")
        report.drop(f"no {target}", missing.sum())
        frame = frame[~missing].copy()
    if "timestamp" in columns:
        seconds = clock.seconds(frame["timestamp"])
        unreadable = ~np.isfinite(seconds)
        report.drop("no readable time", unreadable.sum())
        frame, frame["timestamp"] = frame[~unreadable].copy(), seconds[~unreadable]
    for target, (_, _, kind) in columns.items():
        if target in {"user_id", "item_id", "timestamp"}:
            continue
        if kind == "float":
            values = pd.to_numeric(frame[target], errors="coerce").to_numpy(np.float64, na_value=np.nan)
            values[~np.isfinite(values)] = np.nan
            frame[target] = values
            if np.isnan(values).any():
                report.note(f"{target} is empty where it could not be read; RecBole puts the mean there")
        else:
            frame[target] = frame[target].astype("string").fillna("")
    for target in frame.columns[frame.dtypes == "string"]:
        for pattern, instead, note in _UNREADABLE:
            if frame[target].str.contains(pattern, regex=True).any():
                frame[target] = frame[target].str.replace(pattern, instead, regex=True)
                report.note(f"{note.format(target)}, because RecBole would misread them")
    return frame


class Clock:
    """Times of one column to seconds; the first batch decides what they are."""

    def __init__(self, source: Path, report: Report) -> None:
        self.source, self.report = source, report
        self.divisor: float | None = None
        self.dates = False

    def seconds(self, times: pd.Series) -> np.ndarray:
        if self.divisor is None:
            self._decide(times)
        if self.dates:
            parsed = pd.to_datetime(times, utc=True, errors="coerce", format="ISO8601")
            seconds = (parsed - pd.Timestamp(0, tz="UTC")) / pd.Timedelta(seconds=1)
            return seconds.to_numpy(np.float64, na_value=np.nan)
        numbers = pd.to_numeric(times, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        return numbers / (self.divisor or 1.0)

    def _decide(self, times: pd.Series) -> None:
        self.divisor = 1.0
        numbers = pd.to_numeric(times, errors="coerce") if not pd.api.types.is_datetime64_any_dtype(times) else None
        if numbers is None or (numbers.isna().all() and len(times)):
            self.dates = True
            if pd.api.types.is_timedelta64_dtype(times):
                raise RequestError(f"{self.source}: the times are durations; name another column with --time=COLUMN")
            if len(times) and pd.to_datetime(times, utc=True, errors="coerce", format="ISO8601").isna().all():
                raise RequestError(
                    f"{self.source}: times such as {str(times.iloc[0])[:40]!r} are neither numbers nor ISO 8601 dates; "
                    "name another column with --time=COLUMN"
                )
            self.report.note("dates became seconds since 1970, UTC")
            return
        size = float(numbers.abs().median()) if len(numbers) else 0.0
        for least, divisor, name in UNITS:
            if size >= least:
                self.divisor = divisor
                self.report.note(f"times are in {name} and became seconds")
                return
