"""Retrieval of the best items of users from an exported folder; needs torch, numpy and pyarrow."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from logging import getLogger
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
from recbole_logq.serving.added_items import WithNewItems
from recbole_logq.serving.context import Context, ContextColumns
from recbole_logq.serving.encoder import Encoder
from recbole_logq.serving.exact_index import ExactIndex, Index
from recbole_logq.serving.folder_tables import read_context, read_items, read_users
from recbole_logq.serving.index import APPROXIMATE, check_index
from recbole_logq.serving.item_encoder import ItemEncoder
from recbole_logq.serving.manifest import Manifest
from recbole_logq.serving.query_rows import QueryRows
from recbole_logq.serving.recommendations import Recommendations
from recbole_logq.serving.second import Second, SecondHistories, read_second
from recbole_logq.serving.similar_items import SimilarItems, check_number, room_for
from recbole_logq.serving.tensors import read_tensors
from recbole_logq.serving.texts import Texts, UserTexts, columns_of_texts
from recbole_logq.serving.tokens import refuse_text
from recbole_logq.serving.vectors import LARGEST, in_range, read_vectors

ROWS = 1024
"""Rows that are encoded and searched at once."""


class Retriever(SimilarItems):
    """Recommends from an exported folder; see :meth:`load`.

    Attributes:
        manifest: What the folder says of itself.
        described: What the encoder is made of.
        users: Original tokens, the first has id 1.
        catalogue: Table of the items, the first has id 1.
        items: Their vectors, float32 ``[1 + n_items, d]``; row 0 is padding.
        context: Columns of a request that the model reads beside user and history.
        moments: What it reads of times.
        texts: What it reads of users as texts.
        second: What it reads of users beside what they had.
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
        item_encoder: ItemEncoder | None = None,
        second: Sequence[tuple[Tensor, Tensor]] = (),
    ) -> None:
        self.manifest, self.described = manifest.model_dump(), manifest.encoder
        self.catalogue, self.items, self.encoder, self.index = catalogue, items, encoder, index
        self.context, self.texts = context, UserTexts(manifest.encoder.text_columns)
        self.second = SecondHistories(self.described.second_columns, second, self.described.items_seen or 0)
        self._item_encoder, self._n_known = item_encoder, len(catalogue)
        self.users, self._times, self.moments = users[0], times, manifest.encoder.moments
        self._offsets, self._history = torch.from_numpy(users[1]), torch.from_numpy(users[2])
        self._exact: Index | None = index if isinstance(index, ExactIndex) else None

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
        name, chosen_options = index or own, check_index(index or own, index_options)
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
        second = (
            read_second(folder / files.SECOND, seconds, data.users) if (seconds := described.second_columns) else []
        )
        item_encoder = None
        if manifest.item_texts is not None:
            item_encoder = ItemEncoder(manifest.item_texts, folder / files.ITEM_ENCODER)
        searched: Index
        if name == "exact":
            searched = ExactIndex(items)
        else:
            kind = APPROXIMATE[name]
            if built := sorted(chosen_options.keys() - kind.search_options.keys()):
                raise RequestError(f"index_options.{built[0]}: of the building, set it at export")
            if options.keys() != {*kind.build_options, *kind.search_options}:
                raise RequestError(f"{folder / files.MANIFEST} is damaged: index.options; export again")
            searched = kind.load(items, folder / files.INDEX, **{**options, **chosen_options})
        return cls(manifest, catalogue, items, users, times, context, encoder, searched, item_encoder, second)

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
        texts: Sequence[Texts] | None = None,
        second: Sequence[Second] | None = None,
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
            texts: Texts of visitors, beside histories or alone, for a model that reads texts of users: a text by column
                of :attr:`texts`, one mapping a row.
            second: What visitors did beside, for a model that reads second histories: tokens by name, the latest last,
                one mapping a row. Default: nothing.

        Raises:
            RequestError: A user or an item is unknown, k is out of range, a context or a time is missing or makes no
                sense, or the model cannot encode such rows.
        """
        self.check_k(k)
        if exclude_history not in (True, False):
            raise RequestError(f"exclude_history={exclude_history!r}: True or False")
        rows = self._rows(users, histories, contexts, times, at, texts, second)
        offsets, items = rows.offsets, rows.items
        index = self._exactly() if exact else self.index
        n_rows = len(offsets) - 1
        best, n_empty = room_for(n_rows, k), 0
        for first in range(0, n_rows, ROWS):
            last = min(first + ROWS, n_rows)
            query = self._encoded(first, last, rows)
            n_empty += int((~query.any(1)).sum())
            excluded = None
            if exclude_history:
                size = offsets[first + 1 : last + 1] - offsets[first:last]
                excluded = torch.arange(last - first).repeat_interleave(size), items[offsets[first] : offsets[last]]
            top = index.search(query, k, excluded)
            best[0][first:last], best[1][first:last] = top.items.numpy(), top.scores.numpy()
        if n_empty:
            getLogger().warning(
                f"{n_empty:,} of {n_rows:,} rows have a query of zeros: training knows nothing of what they are, and "
                "all items are alike to them"
            )
        return Recommendations(*best, self.catalogue)

    def queries(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        contexts: Sequence[Context] | None = None,
        times: Sequence[Sequence[Any]] | None = None,
        at: Any = None,
        texts: Sequence[Texts] | None = None,
        second: Sequence[Second] | None = None,
    ) -> Tensor:
        """Query vectors, float32 ``[rows, d]``, for a search of your own; arguments as for :meth:`recommend`."""
        rows = self._rows(users, histories, contexts, times, at, texts, second)
        n_rows = len(rows.ids)
        parts = [self._encoded(first, min(first + ROWS, n_rows), rows) for first in range(0, n_rows, ROWS)]
        return torch.cat(parts) if parts else torch.empty(0, self.items.shape[1])

    @property
    def texts_of_items(self) -> list[str]:
        """Columns of texts that are enough for an item to have a vector.

        Raises:
            RequestError: The model reads no texts of items.
        """
        if self._item_encoder is None:
            raise RequestError(
                f"new items: {self.manifest['model']} reads no texts of items; train it with --item_text=[COLUMN], or "
                "export again with the new items in the .item file"
            )
        return [column.name for column in self._item_encoder.columns]

    def item_vectors(self, texts: Sequence[Texts]) -> Tensor:
        """Vectors of items of which texts alone are known, float32 ``[rows, d]``.

        Args:
            texts: A text by column of ``item_text``, one mapping a row.

        Raises:
            RequestError: The model reads no texts of items, or not these.
        """
        columns = columns_of_texts(texts, self.texts_of_items, "new items")
        assert self._item_encoder is not None
        return self._item_encoder(columns)

    def add_items(self, items: Sequence[str], texts: Sequence[Texts]) -> None:
        """Have items recommended from now on that the folder does not have.

        They are searched exactly, beside the folder's index. No user has had them: in a history they have no vector.

        Args:
            items: Their tokens.
            texts: Texts of each, as for :meth:`item_vectors`.

        Raises:
            RequestError: An item is in the catalogue already, or is there twice; or as for :meth:`item_vectors`.
        """
        if len(items) != len(texts):
            raise RequestError(f"new items: {len(texts)} texts for {len(items)} items, give one mapping an item")
        known = set(self.catalogue["item"].to_pylist())
        for item in items:
            if item in known or not item:
                raise RequestError(f"new items: {item!r} is in the catalogue already" if item else "new items: no name")
            known.add(item)
        if not len(items):
            return
        vectors = self.item_vectors(texts)
        if not in_range(vectors):
            raise RequestError("new items: the encoder gives no finite numbers for them; export again")
        exact = self._exactly()
        first = len(self.catalogue) + 1
        self._exact = WithNewItems(exact, vectors, first)
        self.index = self._exact if self.index is exact else WithNewItems(self.index, vectors, first)
        new = {name: pa.nulls(len(items), pa.string()) for name in self.catalogue.column_names}
        self.catalogue = pa.concat_tables([self.catalogue, pa.table({**new, "item": pa.array(items, pa.string())})])

    def check_k(self, k: Any) -> None:
        """Refuse a number of items that makes no sense.

        Raises:
            RequestError: ``k`` is not a whole number from 1 to the catalogue's size.
        """
        check_number(k, len(self.catalogue), "items of the catalogue")

    def check_users(self, users: Sequence[str]) -> list[int]:
        """Ids of users.

        Raises:
            RequestError: A user is not known.
        """
        refuse_text("users", users)
        ids = [self._user_ids.get(user, 0) for user in users]
        if 0 in ids:
            missing = users[ids.index(0)]
            more = f" and {ids.count(0) - 1} more" if ids.count(0) > 1 else ""
            hint = nearest(str(missing), self._user_ids)
            hint += "" if not self.described.reads_history else "; what a visitor had is given as history"
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
        refuse_text("histories", histories)
        return [self.check_items(history) for history in histories]

    def check_items(self, items: Sequence[str]) -> list[int]:
        """Ids of items.

        Raises:
            RequestError: An item is not known.
        """
        refuse_text("items", items)
        ids = [self._item_ids.get(item, 0) for item in items]
        if 0 in ids:
            missing = items[ids.index(0)]
            close = nearest(str(missing), self._item_ids)
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
        # Those of the folder: items that were added have no vector in a history.
        return {
            token: place for place, token in enumerate(self.catalogue["item"][: self._n_known].to_pylist(), start=1)
        }

    def _exactly(self) -> Index:
        self._exact = self._exact or ExactIndex(self.items)
        return self._exact

    def _rows(
        self,
        users: Sequence[str] | None,
        histories: Sequence[Sequence[str]] | None,
        contexts: Sequence[Context] | None,
        times: Sequence[Sequence[Any]] | None,
        at: Any,
        texts: Sequence[Texts] | None,
        second: Sequence[Second] | None,
    ) -> QueryRows:
        """Everything that the encoder may read."""
        bags = [] if texts is None else self.texts.read(texts, histories)
        if users is not None and texts is not None:
            raise RequestError("texts: those of users are in the folder; they are given for visitors alone")
        if users is not None and second is not None:
            raise RequestError("second: histories of users are in the folder; they are given for visitors alone")
        if histories is None and texts is not None and not self.described.needs_history:
            histories = [[] for _ in texts]
        if (users is None) == (histories is None):
            raise RequestError("recommend takes users, or what is known of visitors: histories or texts")
        if users is not None:
            ids = torch.tensor(self.check_users(users), dtype=torch.int64)
            start, end = self._offsets[ids - 1], self._offsets[ids]
            size = end - start
            offsets = torch.cat([size.new_zeros(1), size.cumsum(0)])
            place = torch.arange(int(offsets[-1])) - (offsets[:-1] - start).repeat_interleave(size)
            items = self._history[place].long()
            if times is not None:
                raise RequestError("times: those of users are in the folder; they are given with histories alone")
            moments = None if self._times is None else self._times[place]
            further = self.second.of_users(ids)
        else:
            assert histories is not None
            texts_only = texts is not None and not any(histories)  # a tower over ids reads texts, and no history
            kept = [[] for _ in histories] if texts_only else self.check_histories(histories)
            ids, size = torch.zeros(len(kept), dtype=torch.int64), torch.tensor([len(ids) for ids in kept]).long()
            offsets = torch.cat([size.new_zeros(1), size.cumsum(0)])
            items = torch.tensor([item for ids_of_row in kept for item in ids_of_row], dtype=torch.int64)
            further = self.second.of_visitors(second, len(kept))
            nothing_had = texts_only and times is None and self.moments.reads_times
            moments = self.moments.of_histories(histories if nothing_had else times, histories)
        if self.described.needs_history and not bool(size.all()):
            row = int((size == 0).nonzero()[0])
            asker = "a visitor" if users is None else f"user {users[row]!r}"
            raise RequestError(f"{asker} has an empty history: {self.manifest['model']} needs one item at least")
        read = self.context.read(contexts, len(ids))
        return QueryRows(offsets, items, ids, read, moments, self.moments.of_requests(at, len(ids)), bags, further)

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
        request_times = None if rows.request_times is None else rows.request_times[first:last]
        texts, second = ([bag[first:last] for bag in bags] for bags in (rows.texts, rows.second))
        query = self.encoder(
            Request(rows.ids[first:last], history, length, columns, times, request_times, texts, second)
        )
        if not in_range(query):
            row = first + int((~(query.abs() <= LARGEST).all(1)).nonzero()[0])
            raise RequestError(f"row {row + 1}: the encoder gives no finite numbers for it; export again")
        return query
