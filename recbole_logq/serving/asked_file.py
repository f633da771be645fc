"""A file of users or visitors to recommend for, or of items to find others like."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from logging import getLogger
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

from recbole_logq.data.source.tables import open_table
from recbole_logq.data.source.tables.cell_text import holds_lists, lists_of_texts, plain, texts
from recbole_logq.errors import RequestError
from recbole_logq.serving.context import TOKEN, Context
from recbole_logq.serving.second import Second
from recbole_logq.serving.texts import Texts
from recbole_logq.serving.tokens import split_tokens

COLUMNS = ("user", "history", "times", "time")
"""Columns of a file beside those of the context: who, or what a visitor had and when, and when the row asks."""
ITEM = "item"
"""Column of a file whose rows are items."""


def asks_about_items(file: Path) -> bool:
    """Whether the rows of a file are items: it has a column ``item``, and none called ``user``.

    Raises:
        RequestError: The file is of no format that is read.
    """
    names = open_table(file, bad_row=_refuse_row(file), has_options=False).names
    return ITEM in names and "user" not in names


class AskedItems:
    """Items of a file with a column ``item``; other columns are named in the log.

    Args:
        file: Delimited text, JSON Lines or Parquet.

    Raises:
        RequestError: The file is of no format that is read.
    """

    def __init__(self, file: Path) -> None:
        self.file, self.table = file, open_table(file, bad_row=_refuse_row(file), has_options=False)
        _refuse_twice(file, self.table.names, [ITEM])
        _say_unread(file, self.table.names, [ITEM])

    def batches(self, n_rows: int) -> Iterator[list[str]]:
        """The items, some at a time.

        Args:
            n_rows: most items of a batch.

        Raises:
            RequestError: A row has no item, or the column holds what is no name.
        """
        for batch in self.table.batches([ITEM], n_rows):
            items = texts(batch[ITEM], f"{ITEM} of {self.file}")
            if not all(items):
                raise RequestError(f"{self.file}: a row has no item")
            yield [str(item) for item in items]


class AskedRows(NamedTuple):
    """Rows of a file.

    Attributes:
        users: What they are called.
        histories: Items of visitors; None where the rows are users.
        contexts: Contexts of the rows, where the model reads them.
        times: Times of visitors' items, where the model reads it.
        at: Time of each row's request, None for now, where the model reads it and the file says it.
        texts: Texts of visitors, where the model reads them and the file has them.
        second: Second histories of visitors, likewise.
    """

    users: list[str]
    histories: list[list[str]] | None
    contexts: list[Context] | None
    times: list[list[str]] | None
    at: list[str | None] | None
    texts: list[Texts] | None
    second: list[Second] | None


class AskedFile:
    """Rows of a file; columns that nothing reads are named in the log.

    Args:
        file: Delimited text, JSON Lines or Parquet with a column ``user``, with ``history`` where its rows are
            visitors, and with the columns of the context.
        context: Types of the columns that the model reads of a request, by name.
        reads: Columns out of :data:`COLUMNS` that the model reads.
        text: Columns of users that the model reads as texts: a file that has them has visitors.
        second: Second histories that the model reads; of visitors, and some may be missing.

    Raises:
        RequestError: The file is of no format that is read.
    """

    def __init__(
        self,
        file: Path,
        context: Mapping[str, str],
        reads: Sequence[str] = ("user", "history"),
        text: Sequence[str] = (),
        second: Sequence[str] = (),
    ) -> None:
        self.file, self.context = file, context
        self.table = open_table(file, bad_row=_refuse_row(file), has_options=False)
        names = self.table.names
        for name in ("user", *context):
            if name not in names:
                reason = "" if name == "user" else ", which the model reads of a request"
                raise RequestError(f"{file} has no column {name!r}{reason}: found {', '.join(names) or 'nothing'}")
        if "times" in reads and "history" in names and "times" not in names:
            raise RequestError(f"{file} has no column 'times', and the model reads when a visitor had each item")
        self.text = list(text) if any(name in names for name in text) else []
        if lacking := [name for name in self.text if name not in names]:
            raise RequestError(f"{file} has no column {lacking[0]!r}, which the model reads as {self.text} are")
        if "history" not in names:
            reads = [name for name in reads if name != "times"]  # of users whose own times the folder has
        are_visitors = "history" in names or bool(self.text)
        self.second = [name for name in second if name in names and are_visitors]
        self.columns = [name for name in (*reads, *context, *self.text, *self.second) if name in names]
        _refuse_twice(file, names, self.columns)
        _say_unread(file, names, self.columns)

    def batches(self, n_rows: int) -> Iterator[AskedRows]:
        """The rows, some at a time.

        Args:
            n_rows: most rows of a batch.

        Raises:
            RequestError: A row has no user, or a column holds what is no name.
        """
        for batch in self.table.batches(self.columns, n_rows):
            users = texts(batch["user"], f"user of {self.file}")
            if not all(users):
                raise RequestError(f"{self.file}: a row has no user")
            histories = self._lists("history", batch["history"]) if "history" in batch else None
            times = self._lists("times", batch["times"]) if histories is not None and "times" in batch else None
            at = texts(batch["time"], f"time of {self.file}") if "time" in batch else None
            known = zip(*(self._values(name, batch[name]) for name in self.context), strict=True)
            contexts: list[Context] | None = None
            if self.context:
                contexts = [dict(zip(self.context, row, strict=True)) for row in known]
            text_rows = zip(*(texts(batch[name], f"{name} of {self.file}") for name in self.text), strict=True)
            known_texts: list[Texts] | None = None
            if self.text:
                known_texts = [dict(zip(self.text, row, strict=True)) for row in text_rows]
            second: list[Second] | None = None
            if self.second:
                cells = zip(*(self._tokens(name, batch[name]) for name in self.second), strict=True)
                second = [dict(zip(self.second, row, strict=True)) for row in cells]
            yield AskedRows([str(user) for user in users], histories, contexts, times, at, known_texts, second)

    def _lists(self, name: str, cells: Any) -> list[list[str]]:
        label = f"{name} of {self.file}"
        if holds_lists(plain(cells)):
            return [row or [] for row in lists_of_texts(cells, label)]
        return [split_tokens(text or "") for text in texts(cells, label)]

    def _tokens(self, name: str, cells: Any) -> list[Any]:
        label = f"{name} of {self.file}"
        return lists_of_texts(cells, label) if holds_lists(plain(cells)) else texts(cells, label)

    def _values(self, name: str, cells: Any) -> list[Any]:
        return texts(cells, f"{name} of {self.file}") if self.context[name] == TOKEN else plain(cells).to_pylist()


def _refuse_row(file: Path) -> Callable[[int, str], NoReturn]:
    def refuse(line: int, reason: str) -> NoReturn:
        raise RequestError(f"{file} has {reason}: line {line}")

    return refuse


def _refuse_twice(file: Path, names: Sequence[str], read: Sequence[str]) -> None:
    if twice := [name for name in read if list(names).count(name) > 1]:
        raise RequestError(f"{file} has {list(names).count(twice[0])} columns called {twice[0]}: rename them")


def _say_unread(file: Path, names: Sequence[str], read: Sequence[str]) -> None:
    if unread := [name or "(no name)" for name in names if name not in read]:
        getLogger().warning("%s: columns that are not read: %s", file, ", ".join(unread))
