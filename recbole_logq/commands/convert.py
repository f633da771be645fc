"""Files of the user to atomic files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.commands.options import check_flag
from recbole_logq.errors import RequestError
from recbole_logq.settings import DATA_PATH, check_keys
from recbole_logq.terminal import say

USAGE = """\
  convert        CSV, JSON Lines, Parquet or sequences to atomic files:  --input=FILE --dataset=NAME [--user=COLUMN]
                 [--item=COLUMN] [--time=COLUMN] [--keep.COLUMN=TYPE ...] [--format=csv|json|parquet|sequences]
                 [--separator=C] [--quote=double|single|none] [--encoding=NAME] [--data_path=FOLDER]
                 [--overwrite=true]
"""


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    known = {"input", "dataset", "data_path", "format", "user", "item", "time", "keep", "separator", "quote"}
    check_keys(options, known | {"encoding", "overwrite"})
    for key in ("input", "dataset"):
        if key not in options:
            raise RequestError(f"convert needs --{key}=: --input=FILE --dataset=NAME")
    check_flag(options, "overwrite")
    if not isinstance(options.get("keep", {}), dict):
        raise RequestError("keep names a column and its type: --keep.rating=float")
    from recbole_logq.data.source.convert import convert

    report = convert(options.pop("input"), options.pop("dataset"), **options)
    say("\n".join(report.lines()))
    folder = Path(report.target).parent
    say(
        f"use it with --dataset={folder.name}"
        + ("" if str(folder.parent) == DATA_PATH else f" --data_path={folder.parent}")
    )
