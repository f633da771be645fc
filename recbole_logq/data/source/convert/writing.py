"""The atomic file, written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from recbole_logq.data.source.convert.atomic_rows import Rows
from recbole_logq.data.source.convert.conversion_report import Report
from recbole_logq.errors import RequestError
from recbole_logq.files import scratch_folder


def write_atomic(folder: Path, target: Path, header: list[str], batches: Iterable[Rows], report: Report) -> None:
    """Write the file.

    Args:
        folder: the dataset's folder.
        target: The file in it.
        header: first line of the file, ``name:type`` each.
        batches: Its rows, the columns in the order of the header.
        report: Report that counts the rows.

    Raises:
        RequestError: The batches hold no row.
        OSError: The file cannot be written; nothing is left.
    """
    with scratch_folder(folder.parent, folder.name) as scratch:
        file = scratch / target.name
        with file.open("w", encoding="utf-8", newline="") as out:
            out.write("\t".join(header) + "\n")
            for batch in batches:
                out.writelines("\t".join(row) + "\n" for row in zip(*batch.values(), strict=True))
                report.written += len(batch["user_id"])
        if report.written == 0:
            raise RequestError(f"{report.source} has no usable row: {'; '.join(report.lines()[-3:])}")
        folder.mkdir(exist_ok=True)
        os.replace(file, target)
