"""Files of the user to atomic files."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.errors import RequestError
from recbole_logq.flags import File, Flags, Folder, Name, Text, YesNo, take_flags
from recbole_logq.settings import DATA_PATH
from recbole_logq.terminal import say

SUMMARY = "files of yours (CSV, JSON, Parquet, sequences) to the files that RecBole reads"
EXAMPLES = (
    "recbole-logq convert --input=ratings.csv --dataset=mine",
    "recbole-logq convert --input=ml-32m.zip/ml-32m/ratings.csv --items=ml-32m.zip/ml-32m/movies.csv --dataset=ml-32m",
)
Column = Annotated[Text, Allowed("COLUMN")]
Columns = Annotated[list[Text], Allowed("[A,B]")]
Conditions = Annotated[Text | list[Text], Allowed("COLUMN=VALUE", "CONDITION")]
Separator = Annotated[Text, Allowed("C")]


def kept(flag: str, column: str) -> Allowed:
    """How columns with their types are written."""
    return Allowed(f"a name of a column with its type, --{flag}.{column}=float", f"{flag}.COLUMN=TYPE")


class ConvertFlags(Flags):
    """What the command takes."""

    input: File = Field(
        description="file, folder, pattern, or place in a zip archive; text may be compressed (gzip, bzip2, xz, zstd)"
    )
    dataset: Name = Field(description="name that --dataset will use")
    data_path: Folder = Field(DATA_PATH, description="folder of the datasets")
    user: Column | None = Field(None, description="column of user ids; guessed from the names by default")
    item: Column | None = Field(None, description="column of item ids; likewise")
    time: Column | None = Field(
        None, description="column of times, numbers since 1970 or ISO 8601 dates; likewise, and there may be none"
    )
    keep: Annotated[dict[str, Any] | None, kept("keep", "rating")] = Field(
        None, description="further columns with their type: --keep.rating=float"
    )
    where: Conditions | None = Field(
        None, description="rows to keep: --where=event_type=listen, with !=, >, >=, < or <=, or a list of these"
    )
    time_format: Annotated[Text, Allowed("FORM")] | None = Field(
        None, description="form of the dates in the codes of strftime: --time_format='%d/%m/%Y %H:%M'"
    )
    file_order: YesNo = Field(False, description="whether the order of the rows stands for the time")
    item_separator: Separator | None = Field(
        None, description="separator of items in a text with all items of a row; lists need none"
    )
    format: Annotated[Text, Allowed("csv, json, parquet, sequences")] | None = Field(
        None,
        description="format of the file; from its content by default; sequences: a user and its items a line",
    )
    separator: Separator | None = Field(
        None, description="what stands between columns of a CSV; from its first line by default"
    )
    quote: Annotated[Text, Allowed("double, single, none")] | None = Field(
        None, description="quotes around fields of a CSV; double by default, none where tabs separate"
    )
    encoding: Name | None = Field(None, description="encoding of text; UTF-8 by default")
    header: Annotated[bool, Field(strict=True)] | None = Field(
        None, description="whether the first line of a CSV names its columns; without, they are 1, 2, ... or --columns"
    )
    columns: Columns | None = Field(None, description="names of the columns of a CSV without a header")
    items: File | None = Field(None, description="table of items, titles and features, for the .item file")
    items_id: Column | None = Field(None, description="its column of item ids; guessed by default")
    items_columns: Columns | None = Field(None, description="names of its columns where it has no header")
    items_keep: Annotated[dict[str, Any] | None, kept("items_keep", "year")] = Field(
        None, description="columns of it with their type, and no others; all, by what they hold, by default"
    )
    users: File | None = Field(None, description="table of users, for the .user file")
    users_id: Column | None = Field(None, description="its column of user ids; guessed by default")
    users_columns: Columns | None = Field(None, description="names of its columns where it has no header")
    users_keep: Annotated[dict[str, Any] | None, kept("users_keep", "age")] = Field(
        None, description="columns of it with their type, and no others"
    )
    value_separator: Separator | None = Field(
        None, description="separator of several values in a text of these tables (genres); | by default"
    )
    overwrite: YesNo = Field(False, description="whether to replace a dataset of that name")


FLAGS = (ConvertFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, ConvertFlags).model_dump()
    from recbole_logq.data.source.convert import FeatureTable, convert

    for name in ("items", "users"):
        parts = {part: flags.pop(f"{name}_{part}") for part in ("id", "columns", "keep")}
        if flags[name] is not None:
            flags[name] = FeatureTable(flags[name], **parts)
        elif idle := next((part for part, value in parts.items() if value is not None), None):
            raise RequestError(f"{name}_{idle}: there is no table of {name}, set --{name}=FILE")
    report = convert(flags.pop("input"), flags.pop("dataset"), **flags)
    say("\n".join(report.lines()))
    folder = Path(report.target).parent
    say(
        f"use it with --dataset={folder.name}"
        + ("" if str(folder.parent) == DATA_PATH else f" --data_path={folder.parent}")
    )
