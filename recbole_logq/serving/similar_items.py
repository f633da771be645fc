"""Items like an item, in an exported folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest
from recbole_logq.serving.description import Description
from recbole_logq.serving.exact_index import Index
from recbole_logq.serving.moments import Moments
from recbole_logq.serving.query_rows import Occurrences, QueryRows
from recbole_logq.serving.recommendations import Recommendations

ROWS = 1024
"""Rows that are encoded, and items that are searched, at once."""
BY = ("items", "queries")
"""What stands for an item when items like it are searched."""


class SimilarItems:
    """What a retriever does with items in the place of users; mixed into the one that has all that is declared here."""

    manifest: dict[str, Any]
    described: Description
    catalogue: pa.Table
    items: Tensor
    index: Index
    moments: Moments
    _offsets: Tensor
    _history: Tensor
    _times: Tensor | None

    def check_items(self, items: Sequence[str]) -> list[int]:
        """Ids of items; raises ``RequestError`` where one is not known."""
        raise NotImplementedError

    def _exactly(self) -> Index:
        raise NotImplementedError

    def _encoded(self, first: int, last: int, rows: QueryRows) -> Tensor:
        raise NotImplementedError

    def similar(self, items: Sequence[str], k: int = 10, by: str = "items", exact: bool = False) -> Recommendations:
        """The items that are most like each of some items, which is itself left out.

        The score of b beside a is the inner product of b's vector, as it is searched for users, with

        - ``items``: a's own vector; the cosine of the two where the model's :attr:`similarity` is cosine, whose item
          vectors have length 1.
        - ``queries``: a's co-query vector, the mean of the queries that the users of the folder had just before they
          had a; so it is the mean score that b has in those queries, with the model's temperature in it.

        Args:
            items: Original tokens, one a row.
            k: Items a row, from 1 to the number of other items.
            by: What stands for an item, ``items`` or ``queries``.
            exact: Whether to search exactly, whatever the folder's index is.

        Raises:
            RequestError: An item is unknown or has no such vector, k is out of range, or the folder does not know what
                the queries of its users were.
        """
        check_number(k, len(self.catalogue) - 1, "other items of the catalogue")
        if by not in BY:
            raise RequestError(f"by={by!r}{nearest(str(by), set(BY))}: {' or '.join(BY)}")
        ids = torch.tensor(self.check_items(items), dtype=torch.int64)
        query = self.co_queries(items) if by == "queries" else self.items[ids]
        if bool((empty := ~query.any(1)).any()):
            raise RequestError(
                f"item {items[int(empty.nonzero()[0])]!r} has a vector of zeros: training knows nothing of it, and "
                "nothing is like it"
            )
        index = self._exactly() if exact else self.index
        best = room_for(len(ids), k)
        for rows in torch.arange(len(ids)).split(ROWS):
            top = index.search(query[rows], k, (torch.arange(len(rows)), ids[rows]))
            best[0][rows], best[1][rows] = top.items.numpy(), top.scores.numpy()
        return Recommendations(*best, self.catalogue)

    @torch.no_grad()
    def co_queries(self, items: Sequence[str]) -> Tensor:
        """Co-query vectors, float32 ``[rows, d]``: means of the queries just before the folder's users had an item.

        A row of the mean is an occurrence of the item in a user's history, with the latest items before it (for a model
        that knows users by their ids: with the user); what the folder knows up to the training (``history=train``) is
        what training had as rows with that target.

        Args:
            items: Original tokens, one a row.

        Raises:
            RequestError: An item is unknown or nobody had it, or the model reads of a request what the folder does not
                keep of histories.
        """
        described, moments = self.described, self.moments
        if not described.keeps_requests:
            raise RequestError(
                f"by=queries: {self.manifest['model']} reads of every request what the folder does not keep of its "
                "histories, so that their queries are not known; set by=items"
            )
        ids, place = torch.tensor(self.check_items(items), dtype=torch.int64).unique(return_inverse=True)
        total = torch.zeros(len(ids), self.items.shape[1], dtype=torch.float64)
        n = torch.zeros(len(ids), dtype=torch.int64)
        occurrences = Occurrences(self._offsets, self._history, self._times)
        blocks = occurrences.rows(ids, ROWS, described.items_seen, described.needs_history, moments.knows_request)
        for owner, rows in blocks:
            total.index_add_(0, owner, self._encoded(0, len(owner), rows).double())
            n += torch.bincount(owner, minlength=len(ids))
        if bool((n == 0).any()):
            missing = items[int((n[place] == 0).nonzero()[0])]
            first = " after another item" if described.needs_history else ""
            raise RequestError(
                f"no user of the folder had item {missing!r}{first}: it has no co-query vector; set by=items"
            )
        return (total / n.unsqueeze(1)).float()[place]

    @property
    def similarity(self) -> str:
        """What inner products of items' vectors are: ``cosine`` or ``dot``."""
        return self.described.scorer.similarity


def check_number(k: Any, most: int, counted: str) -> None:
    """Refuse a number of items that makes no sense.

    Args:
        k: The number.
        most: The largest that makes sense.
        counted: Noun of what is counted, for the message.

    Raises:
        RequestError: ``k`` is not a whole number from 1 to ``most``.
    """
    if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= most:
        raise RequestError(f"k={k!r}: a whole number from 1 to the {most} {counted}")


def room_for(rows: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Room for the items and scores of rows, ``[rows, k]`` both."""
    return np.empty((rows, k), dtype=np.int64), np.empty((rows, k), dtype=np.float32)
