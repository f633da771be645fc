"""Retrieval of the best items of users from an exported folder; needs torch, numpy and pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from recbole_logq.data.dataset.event_times import last_times, times_before
from recbole_logq.data.dataset.histories import last_items
from recbole_logq.errors import RequestError
from recbole_logq.modules.query import Request
from recbole_logq.nearest import nearest
from recbole_logq.serving import folder as files
from recbole_logq.serving.context import Context, ContextColumns
from recbole_logq.serving.encoder import Encoder
from recbole_logq.serving.exact_index import ExactIndex, Index
from recbole_logq.serving.folder_tables import read_context, read_items, read_users
from recbole_logq.serving.index import APPROXIMATE, check_index
from recbole_logq.serving.manifest import Manifest
from recbole_logq.serving.query_rows import Occurrences, QueryRows
from recbole_logq.serving.recommendations import Recommendations
from recbole_logq.serving.tensors import read_tensors
from recbole_logq.serving.vectors import LARGEST, in_range, read_vectors

ROWS = 1024
"""Rows that are encoded and searched at once."""
BY = ("items", "queries")
"""What stands for an item when items like it are searched."""


class Retriever:
    """Recommends from an exported folder; see :meth:`load`.

    Attributes:
        manifest: What the folder says of itself.
        described: What the encoder is made of.
        users: Original tokens, the first has id 1.
        catalogue: Table of the items, the first has id 1.
        items: Their vectors, float32 ``[1 + n_items, d]``; row 0 is padding.
        context: Columns of a request that the model reads beside user and history.
        moments: What it reads of times.
        index: Index that is searched.
    """

    def __init__(
        self,
        manifest: Manifest,
        catalogue: pa.Table,
        items: Tensor,
        users: tuple[pa.Array, np.ndarray, np.ndarray],
        times: Tensor | None,
        context: ContextColumns,
        encoder: Encoder,
        index: Index,
    ) -> None:
        self.manifest, self.described = manifest.model_dump(), manifest.encoder
        self.catalogue, self.items, self.encoder, self.index = catalogue, items, encoder, index
        self.context = context
        self.users, self._times, self.moments = users[0], times, manifest.encoder.moments
        self._offsets, self._history = torch.from_numpy(users[1]), torch.from_numpy(users[2])
        self._exact: ExactIndex | None = index if isinstance(index, ExactIndex) else None

    @classmethod
    def load(
        cls,
        folder: str | Path,
        verify: bool = True,
        index: str | None = None,
        index_options: dict[str, int] | None = None,
    ) -> Retriever:
        """Open what `export` wrote, without RecBole. It is data: everything in it is checked, nothing in it is run.

        Args:
            folder: The exported folder.
            verify: Whether to compare the SHA-256 of all files first.
            index: ``exact`` to search exactly in a folder with an index. Default: the folder's.
            index_options: Options of the search, instead of the folder's: ``ef_search`` of hnsw, ``probes`` and
                ``refine`` of ivfpq.

        Raises:
            RequestError: The folder is no exported one, is of another version, is, damaged, or holds what does not
                belong there.
        """
        folder = Path(folder)
        manifest = files.read_manifest(folder, verify)
        described, data = manifest.encoder, manifest.data
        own, options = manifest.index.name, manifest.index.options
        if index not in (None, "exact", own):
            raise RequestError(f"index={index!r}: {folder} has {own}, and exact search always works")
        name, given = index or own, check_index(index or own, index_options)
        items = read_vectors(folder / files.VECTORS, data.items, described.dimensions)
        catalogue = read_items(folder / files.ITEMS, data.items)
        users = read_users(folder / files.USERS, data.users, data.items, data.history_interactions)
        times = None
        if described.moments.reads_times:
            expected = {"times": torch.empty(data.history_interactions, dtype=torch.float64, device="meta")}
            times = read_tensors(folder / files.TIMES, expected)["times"]
        columns = [{"name": column.name, "type": column.type} for column in described.context_columns]
        sizes = {column.name: column.n_tokens - 1 for column in described.context_columns if column.type == "token"}
        context = ContextColumns(columns, read_context(folder / files.CONTEXT, sizes) if sizes else {})
        encoder = Encoder(described, folder / files.ENCODER, data.users, data.items)
        searched: Index
        if name == "exact":
            searched = ExactIndex(items)
        else:
            kind = APPROXIMATE[name]
            if built := sorted(given.keys() - kind.search_options.keys()):
                raise RequestError(f"index_options.{built[0]}: of the building, set it at export")
            if options.keys() != {*kind.build_options, *kind.search_options}:
                raise RequestError(f"{folder / files.MANIFEST} is damaged: index.options; export again")
            searched = kind.load(items, folder / files.INDEX, **{**options, **given})
        return cls(manifest, catalogue, items, users, times, context, encoder, searched)

    def recommend(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        k: int = 10,
        exclude_history: bool = False,
        exact: bool = False,
        contexts: Sequence[Context] | None = None,
        times: Sequence[Sequence[Any]] | None = None,
        at: Any = None,
    ) -> Recommendations:
        """The best items of users who are known, or of visitors who are known by what they had.

        Args:
            users: Original tokens, one a row.
            histories: Item tokens instead of users in time order, one list a row; the model sees the latest ones.
            k: Items a row, from 1 to the catalogue's size.
            exclude_history: Whether to leave out what the user had, all of it.
            exact: Whether to search exactly, whatever the folder's index is.
            contexts: What each row's request knows, for a model that reads it: a value by column of :attr:`context`.
            times: Time of each item of the histories, for a model that reads times: numbers in the unit of its
                data, or dates, one list a row.
            at: Time of each row's request, for a model that knows (``request_time: known``): one of them for all, or a
                list. Default: now.

        Raises:
            RequestError: A user or an item is unknown, k is out of range, a context or a time is missing or makes no
                sense, or the model cannot encode such rows.
        """
        self.check_k(k)
        rows = self._rows(users, histories, contexts, times, at)
        offsets, items = rows.offsets, rows.items
        index = self._exactly() if exact else self.index
        n_rows = len(offsets) - 1
        best = _empty(n_rows, k)
        for first in range(0, n_rows, ROWS):
            last = min(first + ROWS, n_rows)
            query = self._encoded(first, last, rows)
            excluded = None
            if exclude_history:
                size = offsets[first + 1 : last + 1] - offsets[first:last]
                excluded = torch.arange(last - first).repeat_interleave(size), items[offsets[first] : offsets[last]]
            found = index.search(query, k, excluded)
            best[0][first:last], best[1][first:last] = found.items.numpy(), found.scores.numpy()
        return Recommendations(*best, self.catalogue)

    def queries(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        contexts: Sequence[Context] | None = None,
        times: Sequence[Sequence[Any]] | None = None,
        at: Any = None,
    ) -> Tensor:
        """Query vectors, float32 ``[rows, d]``, for a search of your own; arguments as for :meth:`recommend`."""
        rows = self._rows(users, histories, contexts, times, at)
        n_rows = len(rows.ids)
        parts = [self._encoded(first, min(first + ROWS, n_rows), rows) for first in range(0, n_rows, ROWS)]
        return torch.cat(parts) if parts else torch.empty(0, self.items.shape[1])

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
        self._check_k(k, len(self.catalogue) - 1, "other items of the catalogue")
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
        best = _empty(len(ids), k)
        for rows in torch.arange(len(ids)).split(ROWS):
            found = index.search(query[rows], k, (torch.arange(len(rows)), ids[rows]))
            best[0][rows], best[1][rows] = found.items.numpy(), found.scores.numpy()
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
        total, n = torch.zeros(len(ids), self.items.shape[1], dtype=torch.float64), torch.zeros(len(ids))
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

    def check_k(self, k: Any) -> None:
        """Refuse a number of items that makes no sense.

        Raises:
            RequestError: ``k`` is not a whole number from 1 to the catalogue's size.
        """
        self._check_k(k, len(self.catalogue), "items of the catalogue")

    def _check_k(self, k: Any, most: int, what: str) -> None:
        if isinstance(k, bool) or not isinstance(k, int) or not 1 <= k <= most:
            raise RequestError(f"k={k!r}: a whole number from 1 to the {most} {what}")

    def check_users(self, users: Sequence[str]) -> list[int]:
        """Ids of users.

        Raises:
            RequestError: A user is not known.
        """
        ids = [self._user_ids.get(user, 0) for user in users]
        if 0 in ids:
            missing = users[ids.index(0)]
            more = f" and {ids.count(0) - 1} more" if ids.count(0) > 1 else ""
            hint = "" if not self.described.reads_history else "; what a visitor had is given as history"
            raise RequestError(f"no user {missing!r}{more} among the {len(self.users)} of the folder{hint}")
        return ids

    def check_histories(self, histories: Sequence[Sequence[str]]) -> list[list[int]]:
        """Ids of the items of histories.

        Raises:
            RequestError: An item is not known, or the model cannot encode them.
        """
        if not self.described.reads_history:
            raise RequestError(
                f"{self.manifest['model']} knows users by their ids, not by histories: train it with "
                "--user_tower=history, or a SASRec model"
            )
        return [self.check_items(history) for history in histories]

    def check_items(self, items: Sequence[str]) -> list[int]:
        """Ids of items.

        Raises:
            RequestError: An item is not known.
        """
        ids = [self._item_ids.get(item, 0) for item in items]
        if 0 in ids:
            missing = items[ids.index(0)]
            close = nearest(missing, set(self._item_ids)) if len(self._item_ids) < 50_000 else ""
            raise RequestError(f"no item {missing!r} in the catalogue{close}")
        return ids

    def has_history(self, place: int) -> bool:
        """Whether the folder knows anything that a user had; users count from 0."""
        return bool(self._offsets[place + 1] > self._offsets[place])

    @cached_property
    def _user_ids(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self.users.to_pylist(), start=1)}

    @cached_property
    def _item_ids(self) -> dict[str, int]:
        return {token: place for place, token in enumerate(self.catalogue["item"].to_pylist(), start=1)}

    def _exactly(self) -> ExactIndex:
        self._exact = self._exact or ExactIndex(self.items)
        return self._exact

    def _rows(
        self,
        users: Sequence[str] | None,
        histories: Sequence[Sequence[str]] | None,
        contexts: Sequence[Context] | None,
        times: Sequence[Sequence[Any]] | None,
        at: Any,
    ) -> QueryRows:
        """Everything that the encoder may read."""
        if (users is None) == (histories is None):
            raise RequestError("recommend takes users or histories, one of the two")
        if users is not None:
            ids = torch.tensor(self.check_users(users), dtype=torch.int64)
            start, end = self._offsets[ids - 1], self._offsets[ids]
            size = end - start
            offsets = torch.cat([size.new_zeros(1), size.cumsum(0)])
            place = torch.arange(int(offsets[-1])) - (offsets[:-1] - start).repeat_interleave(size)
            items = self._history[place].long()
            if times is not None:
                raise RequestError("times: those of users are in the folder; they are given with histories alone")
            had = None if self._times is None else self._times[place]
        else:
            assert histories is not None
            found = self.check_histories(histories)
            ids, size = torch.zeros(len(found), dtype=torch.int64), torch.tensor([len(one) for one in found]).long()
            offsets = torch.cat([size.new_zeros(1), size.cumsum(0)])
            items = torch.tensor([item for one in found for item in one], dtype=torch.int64)
            had = self.moments.of_histories(times, histories)
        if self.described.needs_history and not bool(size.all()):
            row = int((size == 0).nonzero()[0])
            who = "a visitor" if users is None else f"user {users[row]!r}"
            raise RequestError(f"{who} has an empty history: {self.manifest['model']} needs one item at least")
        read = self.context.read(contexts, len(ids))
        return QueryRows(offsets, items, ids, read, had, self.moments.of_requests(at, len(ids)))

    def _encoded(self, first: int, last: int, rows: QueryRows) -> Tensor:
        """Queries of the rows ``[first, last)``."""
        items, start, end = rows.items, rows.offsets[first:last], rows.offsets[first + 1 : last + 1]
        history, length, times = None, None, None
        if self.described.items_seen is not None:
            # No wider than the longest: what a folder says of its length takes no memory.
            seen = (end - start).clamp_max(self.described.items_seen)
            width = max(int(seen.max()), 1)
            if len(items):
                history, length = last_items(items, start, end, width), seen
            else:
                history, length = torch.zeros(last - first, width, dtype=torch.int64), seen
            if rows.times is not None:
                before = times_before(
                    torch.arange(len(start)).repeat_interleave(end - start), rows.times[start[0] : end[-1]]
                )
                times = last_times(rows.times[start[0] : end[-1]], before, end - seen - start[0], end - start[0], width)
        columns = [rows.context[column.name][first:last] for column in self.described.context_columns]
        asked = None if rows.asked is None else rows.asked[first:last]
        query = self.encoder(Request(rows.ids[first:last], history, length, columns, times, asked))
        if not in_range(query):
            row = first + int((~(query.abs() <= LARGEST).all(1)).nonzero()[0])
            raise RequestError(f"row {row + 1}: the encoder gives no finite numbers for it; export again")
        return query


def _empty(rows: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Room for the items and scores of rows."""
    return np.empty((rows, k), dtype=np.int64), np.empty((rows, k), dtype=np.float32)
