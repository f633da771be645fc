"""The best items for users, or beside items."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.commands.export import Index, IndexOptions
from recbole_logq.commands.outputs import check_table
from recbole_logq.errors import RequestError
from recbole_logq.flags import File, Flags, Number, Plugins, Text, YesNo, take_flags
from recbole_logq.terminal import say

SUMMARY = "the best items for users, or those like an item, from an exported folder or a checkpoint"
EXAMPLES = (
    "recbole-logq recommend --model=served --users=196,186 --k=5",
    "recbole-logq recommend --model=served --input=users.csv --output=top.parquet --exclude_history=true",
)
WAYS = ("users", "history", "items", "input")
OF_REQUESTS = ("exclude_history", "context", "text", "at", "times")
"""Flags about who asks, whom nobody names where items are asked about."""


class RecommendFlags(Flags):
    """What the command takes."""

    model: Annotated[Text, Allowed("FOLDER, FILE.pth")] = Field(
        description="folder that export has made or a checkpoint"
    )
    users: Annotated[Text, Allowed("A,B")] | None = Field(None, description="users, whose rankings are printed")
    history: Annotated[Text, Allowed("ITEM,ITEM")] | None = Field(None, description="items of a visitor, in time order")
    items: Annotated[Text, Allowed("A,B")] | None = Field(
        None, description="items, beside each of which those most like it are printed, without itself"
    )
    by: Literal["items", "queries"] | None = Field(
        None,
        description="what stands for an item of --items, or of a file of items: its own vector (the default), or the "
        "mean query of the folder's users just before they had it",
    )
    input: File | None = Field(
        None,
        description="file of users or histories, or of items in a column item where none is called user: one row, one "
        "ranking",
    )
    output: Annotated[Text, Allowed("FILE.csv, FILE.parquet")] | None = Field(None, description="file for the rankings")
    k: Number = Field(10, description="items of a ranking")
    exclude_history: YesNo = Field(False, description="whether items that a user had are left out")
    context: Annotated[Text, Allowed("COLUMN=VALUE,...")] | None = Field(
        None, description="what the request knows: --context=hour=12,device=web"
    )
    text: Annotated[Text, Allowed("COLUMN=TEXT,...")] | None = Field(
        None, description='texts of a visitor, where the model reads such: --text="query=space opera"'
    )
    second: Annotated[Text, Allowed("NAME=TOKENS,...")] | None = Field(
        None, description="what a visitor did beside, where the model reads second histories: --second=search=jazz"
    )
    new_items: File | None = Field(
        None, description="file of items that the model does not know, with the texts that it reads of items"
    )
    at: Annotated[Any, Allowed("TIME")] = Field(None, description="time of the request, where the model reads it")
    times: Annotated[Text, Allowed("T1,T2")] | None = Field(None, description="times of a visitor's items, in order")
    index: Index | None = Field(None, description="index to use in place of the folder's")
    index_options: IndexOptions = Field(None, description="options of the search, such as ef_search of hnsw")
    show_progress: YesNo | None = Field(None, description="whether --input has a progress bar; true by default")
    plugins: Plugins | None = Field(None, description="files and modules of your own that a checkpoint names")


FLAGS = (RecommendFlags,)


def execute(options: dict[str, Any]) -> None:
    """Run the command."""
    flags = take_flags(options, RecommendFlags)
    ways = [key for key in sorted(WAYS) if key in flags.model_fields_set]
    ways = ways or ["text"] * (flags.text is not None)  # beside --history it says more of the same visitor
    if len(ways) != 1:
        flags_set = " and ".join(f"--{key}" for key in ways) or "none"
        raise RequestError(
            "recommend takes one of --users=a,b, --history=item1,item2, --items=a,b, --text=COLUMN=TEXT and "
            f"--input=FILE, found {flags_set}"
        )
    if flags.input is None:
        _refuse_file_flags(flags)
    if flags.items is not None:
        _refuse_flags_of_requests(flags, "--items has")
    elif flags.by is not None and flags.input is None:
        raise RequestError("--by is for --items: it says what stands for an item")
    if flags.times is not None and flags.history is None:
        raise RequestError("--times is for --history; those of users are in the folder, and rows of --input have them")
    if flags.input is not None and flags.context is not None:
        raise RequestError("--context is for --users and --history; the rows of --input have columns of it")
    for name, value in (("text", flags.text), ("second", flags.second)):
        if value is not None and flags.history is None and ways != ["text"]:
            raise RequestError(f"--{name} is of a visitor: the folder has it of users, and rows of --input have it")
    from recbole_logq.serving.added_items import read_texts_of_items
    from recbole_logq.serving.asked_file import asks_about_items
    from recbole_logq.serving.recommend import (
        check_files,
        opened,
        recommend_file,
        show,
        show_similar,
        similar_file,
    )
    from recbole_logq.serving.tokens import split_context, split_tokens

    if flags.input is not None:
        check_files(flags.input, flags.output)
        check_table("output", flags.output)
        of_items = asks_about_items(Path(flags.input))
        if of_items:
            _refuse_flags_of_requests(flags, f"rows of {flags.input} are items, which have")
        elif flags.by is not None:
            raise RequestError(f"--by says what stands for an item, and {flags.input} has no column item or has users")
    rows = split_tokens(flags.users or "")
    if flags.users is not None and not rows:
        raise RequestError("--users is empty: --users=a,b")
    items = split_tokens(flags.items or "")
    if flags.items is not None and not items:
        raise RequestError("--items is empty: --items=a,b")
    context = None if flags.context is None else split_context(flags.context)
    text = None if flags.text is None else [split_context(flags.text, "text")]
    second = None if flags.second is None else [split_context(flags.second, "second")]
    with opened(flags.model, flags.index, flags.index_options, flags.plugins) as retriever:
        if flags.new_items is not None:
            retriever.add_items(*read_texts_of_items(Path(flags.new_items), retriever.texts_of_items))
        if flags.input is not None:
            progress = flags.show_progress is not False
            target = str(flags.output)
            if of_items:
                n = similar_file(retriever, flags.input, target, flags.k, flags.by or "items", show_progress=progress)
                say(f"{target}: the {flags.k} items most like each of {n:,}")
                return
            n = recommend_file(
                retriever, flags.input, target, flags.k, flags.exclude_history, show_progress=progress, at=flags.at
            )
            say(f"{target}: the best {flags.k} items of {n:,} rows")
            return
        if items:
            by = flags.by or "items"
            show_similar(retriever.similar(items, k=flags.k, by=by), items, by, retriever.similarity)
            return
        request: dict[str, Any] = {"users": rows} if rows else {"texts": text, "second": second}
        if flags.history is not None:
            request = {"histories": [split_tokens(flags.history)], "texts": text, "second": second}
        names = rows or ["visitor"]
        request |= {} if flags.times is None else {"times": [split_tokens(flags.times)]}
        contexts = None if context is None else [context] * len(names)
        further = {"exclude_history": flags.exclude_history, "contexts": contexts, "at": flags.at}
        show(retriever.recommend(**request, k=flags.k, **further), names)


def _refuse_file_flags(flags: RecommendFlags) -> None:
    if flags.output is not None:
        raise RequestError("--output is for --input; a few users are printed")
    if flags.show_progress is not None:
        raise RequestError("--show_progress is for --input; a few users take no time")


def _refuse_flags_of_requests(flags: RecommendFlags, without: str) -> None:
    if unread := [key for key in OF_REQUESTS if key in flags.model_fields_set]:
        reason = ", and an item itself is left out anyway" if unread[0] == "exclude_history" else ""
        raise RequestError(f"--{unread[0]} is of a user's request, and {without} no user{reason}; leave it out")
