"""The atomic files of a dataset, written all or none."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from recbole_logq.data.source.convert.atomic_rows import Rows
from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.errors import RequestError


def write_rows(file: Path, header: list[str], batches: Iterable[Rows], report: Report) -> None:
    """Write a file.

    Args:
        file: Place of the file.
        header: first line of the file, ``name:type`` each.
        batches: Its rows, the columns in the order of the header.
        report: Report that counts the rows.

    Raises:
        RequestError: The batches hold no row.
        OSError: The file cannot be written.
    """
    report.written = 0
    with file.open("w", encoding="utf-8", newline="") as out:
        out.write("\t".join(header) + "\n")
        for batch in batches:
            out.writelines("\t".join(row) + "\n" for row in zip(*batch.values(), strict=True))
            report.written += len(next(iter(batch.values())))
    if report.written == 0:
        rows = [f"read {report.read:,} rows", *report.dropped_lines()]
        raise RequestError(f"{report.source} has no usable row: {'; '.join(rows)}")


def move_into(scratch: Path, folder: Path) -> None:
    """Move the files of a scratch folder to their place.

    Raises:
        OSError: They cannot be moved there.
    """
    folder.mkdir(exist_ok=True)
    for file in sorted(scratch.iterdir(), key=lambda file: file.suffix == ".inter"):  # that one makes it a dataset
        os.replace(file, folder / file.name)
