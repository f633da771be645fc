"""The atomic file, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from recbole_logq.data.convert.report import Report
from recbole_logq.errors import RequestError
from recbole_logq.files import scratch_folder


def write_atomic(
    folder: Path, target: Path, header: list[str], batches: Iterator[pd.DataFrame], report: Report
) -> None:
    with scratch_folder(folder.parent, folder.name) as scratch:
        file = scratch / target.name
        with file.open("w", encoding="utf-8", newline="") as out:
            out.write("\t".join(header) + "\n")
            for batch in batches:
                batch = batch.assign(**{name: _numbers(batch[name]) for name in batch if _is_number(batch[name])})
                lines = batch.iloc[:, 0].str.cat([batch[name] for name in batch.columns[1:]], sep="\t")
                out.write("".join(lines + "\n"))
                report.written += len(batch)
        if report.written == 0:
            raise RequestError(f"{report.source} has no usable row: {'; '.join(report.lines()[-3:])}")
        folder.mkdir(exist_ok=True)
        os.replace(file, target)


def _is_number(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column))


def _numbers(column: pd.Series) -> pd.Series:
    # Whole numbers without ".0", everything else with the digits that give the same float64 back.
    values = column.to_numpy(np.float64)
    words = [
        "" if value != value else str(int(value)) if value.is_integer() else repr(value) for value in values.tolist()
    ]
    return pd.Series(words, index=column.index, dtype="string")
