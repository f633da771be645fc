"""Files of the user to atomic files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.flags import File, Flags, Folder, Name, Text, YesNo, take_flags
from recbole_logq.settings import DATA_PATH
from recbole_logq.terminal import say

SUMMARY = "a file of yours (CSV, JSON Lines, Parquet, sequences) to the files that RecBole reads"
EXAMPLES = (
    "recbole-logq convert --input=ratings.csv --dataset=mine",
    "recbole-logq convert --input=log.parquet --dataset=mine --user=visitor --item=product --keep.price=float",
)
KEEP = Allowed("a name of a column with its type, --keep.rating=float", "keep.COLUMN=TYPE")
Column = Annotated[Text, Allowed("COLUMN")]


class ConvertFlags(Flags):
    """What the command takes."""

    input: File = Field(description="file to read; text may be compressed (gzip, bzip2, xz, zstd)")
    dataset: Name = Field(description="name that --dataset will use")
    data_path: Folder = Field(DATA_PATH, description="folder of the datasets")
    user: Column | None = Field(None, description="column of user ids; guessed from the names by default")
    item: Column | None = Field(None, description="column of item ids; likewise")
    time: Column | None = Field(
        None, description="column of times, numbers since 1970 or ISO 8601 dates; likewise, and there may be none"
    )
    keep: Annotated[dict[str, Any] | None, KEEP] = Field(
        None, description="further columns with their type: --keep.rating=float"
    )
    format: Annotated[Text, Allowed("csv, json, parquet, sequences")] | None = Field(
        None,
        description="format of the file; from its content by default; sequences: a user and its items a line",
    )
    separator: Annotated[Text, Allowed("C")] | None = Field(
        None, description="what stands between columns of a CSV; from its first line by default"
    )
    quote: Annotated[Text, Allowed("double, single, none")] | None = Field(
        None, description="quotes around fields of a CSV; double by default, none where tabs separate"
    )
    encoding: Name | None = Field(None, description="encoding of text; UTF-8 by default")
    overwrite: YesNo = Field(False, description="whether to replace a dataset of that name")


FLAGS = (ConvertFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, ConvertFlags).model_dump()
    from recbole_logq.data.source.convert import convert

    report = convert(flags.pop("input"), flags.pop("dataset"), **flags)
    say("\n".join(report.lines()))
    folder = Path(report.target).parent
    say(
        f"use it with --dataset={folder.name}"
        + ("" if str(folder.parent) == DATA_PATH else f" --data_path={folder.parent}")
    )
