"""Items that a folder does not have, searched beside those that it has, and read from a file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, NoReturn

import torch
from torch import Tensor

from recbole_logq.data.source.tables import open_table
from recbole_logq.data.source.tables.cell_text import texts
from recbole_logq.errors import RequestError
from recbole_logq.evaluation.top_k import Pairs, TopK
from recbole_logq.serving.exact_index import Index
from recbole_logq.serving.texts import Texts

ITEM = "item"


class WithNewItems:
    """An index, and a few items beside it that are all looked at.

    Args:
        index: Index of the items before them.
        items: Vectors of the new ones, float32 ``[new, d]``.
        first: Id of the first of them; those of the index end before it.
    """

    name: ClassVar[str] = "new items beside an index"

    def __init__(self, index: Index, items: Tensor, first: int) -> None:
        self._index, self._items, self._first = index, items, first

    def search(self, query: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
        """See :meth:`Index.search`; new items are never among the excluded."""
        known = self._index.search(query, min(k, self._first - 1), excluded)
        new = (query @ self._items.T).topk(min(k, len(self._items)))
        scores = torch.cat([known.scores, new.values], 1)
        items = torch.cat([known.items, new.indices + self._first], 1)
        best = scores.topk(k)
        return TopK(best.values, items.gather(1, best.indices))

    @property
    def n_bytes(self) -> int:
        """See :meth:`Index.n_bytes`."""
        return self._index.n_bytes + self._items.nbytes


def read_texts_of_items(file: Path, columns: Sequence[str]) -> tuple[list[str], list[Texts]]:
    """Names and texts of items.

    Args:
        file: Delimited text, JSON Lines or Parquet with a column ``item`` and the columns of texts.
        columns: Columns that the model reads.

    Raises:
        RequestError: The file is none of these, or a row has no item.
    """

    def refuse(line: int, reason: str) -> NoReturn:
        raise RequestError(f"{file} has {reason}: line {line}")

    table = open_table(file, bad_row=refuse, has_options=False)
    for name in (ITEM, *columns):
        if (count := table.names.count(name)) != 1:
            have = f"{count} columns called {name}: rename them" if count else f"no column {name!r}"
            raise RequestError(
                f"{file} has {have}" + ("" if count else f": found {', '.join(table.names) or 'nothing'}")
            )
    items: list[str] = []
    rows: list[Texts] = []
    for batch in table.batches([ITEM, *columns], 4096):
        names = texts(batch[ITEM], f"{ITEM} of {file}")
        if not all(names):
            raise RequestError(f"{file}: a row has no item")
        items += [str(name) for name in names]
        known = zip(*(texts(batch[name], f"{name} of {file}") for name in columns), strict=True)
        rows += [dict(zip(columns, row, strict=True)) for row in known]
    if not items:
        raise RequestError(f"{file} has no rows")
    return items, rows
