"""What an index is, and the one that looks at all items."""

from __future__ import annotations

from typing import ClassVar, Protocol

from torch import Tensor

from recbole_logq.evaluation.top_k import Catalogue, Pairs, TopK


class Index(Protocol):
    """Items that can be searched.

    Scores are inner products of the vectors as they are, whatever the index keeps; nothing is subtracted from them.
    """

    @property
    def name(self) -> str:
        """What the kind of index is called."""

    def search(self, query: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
        """The best items of each row.

        Args:
            query: float32 ``[rows, d]``.
            k: Number of items to find, from 1 to the number of items.
            excluded: Rows and items, int64 ``[pairs]`` both, that are left out.

        Returns:
            Scores, and item ids from 1 on; -inf and 0 where a row has fewer than k items left.
        """
        ...

    @property
    def n_bytes(self) -> int:
        """Size of what is searched."""
        ...


class ExactIndex:
    """All items are looked at.

    Args:
        items: float32 ``[1 + n_items, d]``; row 0 is padding.
    """

    name: ClassVar[str] = "exact"

    def __init__(self, items: Tensor) -> None:
        self.items = items
        self._catalogue = Catalogue(items)

    def search(self, query: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
        """See :meth:`Index.search`."""
        best = self._catalogue.top_k(query, k, excluded)
        return TopK(best.scores, best.items.masked_fill_(best.scores.isneginf(), 0))

    @property
    def n_bytes(self) -> int:
        """See :meth:`Index.n_bytes`."""
        return self.items.nbytes
