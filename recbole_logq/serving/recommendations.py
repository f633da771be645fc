"""What is recommended: ids, scores, original tokens, titles."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from recbole_logq.errors import RequestError
from recbole_logq.serving.tokens import refuse_text


@dataclass
class Recommendations:
    """The best items of each row, best first.

    Attributes:
        ids: int64 ``[rows, k]``, places in the catalogue from 1 on; 0 where a row has fewer than k items left.
        scores: float32 ``[rows, k]``, inner products of query and item, or of two items; -inf there.
        catalogue: Table of all items, ``item`` and perhaps ``title``.
    """

    ids: np.ndarray
    scores: np.ndarray
    catalogue: pa.Table

    @property
    def items(self) -> list[list[str]]:
        """Original tokens of each row."""
        return self._column("item")

    @property
    def titles(self) -> list[list[str | None]] | None:
        """Titles of each row; None for a catalogue without."""
        return self._column("title") if "title" in self.catalogue.column_names else None

    def _column(self, name: str) -> list[list[Any]]:
        flat = self.catalogue[name].take(_places(self.ids[self.ids > 0])).to_pylist()
        ends = (self.ids > 0).sum(1).cumsum()
        return [flat[end - size : end] for end, size in zip(ends, (self.ids > 0).sum(1), strict=True)]

    def to_table(self, names: Sequence[str], heading: str = "user") -> pa.Table:
        """One row per recommendation: ``user``, ``rank`` from 1 on, ``item``, ``score`` and, if known, ``title``.

        Args:
            names: What each row is called.
            heading: Name of the column that they stand in, another one for what is no user.

        Raises:
            RequestError: There is not one name a row.
        """
        refuse_text("names", names)
        if len(names) != len(self.ids):
            raise RequestError(f"names: {len(names)} for {len(self.ids)} rows, give one a row")
        row, place = np.nonzero(self.ids > 0)
        places = _places(self.ids[row, place])
        columns = {
            heading: pa.array(names, pa.string()).take(pa.array(row)),
            "rank": pa.array(place + 1, pa.int32()),
            "item": self.catalogue["item"].take(places),
            "score": pa.array(self.scores[row, place], pa.float32()),
        }
        if "title" in self.catalogue.column_names:
            columns["title"] = self.catalogue["title"].take(places)
        return pa.table(columns)


def _places(ids: np.ndarray) -> pa.Array:
    # From the memory itself: `pa.array` asks whether its argument is of pandas, whose import takes as long as the rest.
    places = np.ascontiguousarray(ids - 1, dtype=np.int64)
    return pa.Array.from_buffers(pa.int64(), len(places), [None, pa.py_buffer(places)])
