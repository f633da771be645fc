"""A file of users or visitors to recommend for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from logging import getLogger
from pathlib import Path
from typing import Any, NoReturn

from recbole_logq.data.source.tables import open_table
from recbole_logq.data.source.tables.cell_text import holds_lists, lists_of_texts, plain, texts
from recbole_logq.errors import RequestError
from recbole_logq.serving.context import TOKEN, Context
from recbole_logq.serving.tokens import split_tokens

COLUMNS = ("user", "history")
"""Columns of a file beside those of the context."""


class AskedFile:
    """Rows of a file; columns that nothing reads are named in the log.

    Args:
        file: Delimited text, JSON Lines or Parquet with a column ``user``, with ``history`` where its rows are
            visitors, and with the columns of the context.
        context: Types of the columns that the model reads of a request, by name.

    Raises:
        RequestError: It is no such file.
    """

    def __init__(self, file: Path, context: Mapping[str, str]) -> None:
        self.file, self.context = file, context
        self.table = open_table(file, bad_row=self._refuse, has_options=False)
        names = self.table.names
        for name in ("user", *context):
            if name not in names:
                reason = "" if name == "user" else ", which the model reads of a request"
                raise RequestError(f"{file} has no column {name!r}{reason}: found {', '.join(names) or 'nothing'}")
        self.columns = [name for name in (*COLUMNS, *context) if name in names]
        if twice := [name for name in self.columns if names.count(name) > 1]:
            raise RequestError(f"{file} has {names.count(twice[0])} columns called {twice[0]}: rename them")
        if unread := [name or "(no name)" for name in names if name not in self.columns]:
            getLogger().warning("%s: columns that are not read: %s", file, ", ".join(unread))

    def batches(self, n_rows: int) -> Iterator[tuple[list[str], list[list[str]] | None, list[Context] | None]]:
        """Users, their histories where the file has them, and contexts where the model reads them.

        Args:
            n_rows: most rows of a batch.

        Raises:
            RequestError: A row has no user, or a column holds what is no name.
        """
        for batch in self.table.batches(self.columns, n_rows):
            users = texts(batch["user"], f"user of {self.file}")
            if not all(users):
                raise RequestError(f"{self.file}: a row has no user")
            histories = self._histories(batch["history"]) if "history" in batch else None
            known = zip(*(self._values(name, batch[name]) for name in self.context), strict=True)
            contexts: list[Context] | None = None
            if self.context:
                contexts = [dict(zip(self.context, row, strict=True)) for row in known]
            yield [str(user) for user in users], histories, contexts

    def _histories(self, cells: Any) -> list[list[str]]:
        where = f"history of {self.file}"
        if holds_lists(plain(cells)):
            return [row or [] for row in lists_of_texts(cells, where)]
        return [split_tokens(text or "") for text in texts(cells, where)]

    def _values(self, name: str, cells: Any) -> list[Any]:
        return texts(cells, f"{name} of {self.file}") if self.context[name] == TOKEN else plain(cells).to_pylist()

    def _refuse(self, line: int, reason: str) -> NoReturn:
        raise RequestError(f"{self.file} has {reason}: line {line}")
