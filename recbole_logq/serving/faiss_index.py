"""Approximate search with faiss: it gives candidates, which are scored again with their own vectors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.evaluation.top_k import Pairs, TopK
from recbole_logq.serving.exact_index import ExactIndex
from recbole_logq.serving.index_arrays import Arrays
from recbole_logq.serving.tensors import read_tensors, tensor_shapes, write_tensors

MAX_FETCHED = 4096
"""Items that an approximate search fetches for a row, at most; a row that needs more is searched exactly."""
GATHERED = 1 << 23
"""Numbers of candidates' vectors that are gathered at once, 32 MB."""
Shapes = dict[str, tuple[list[int], str]]


class FaissIndex:
    """Items in an index of faiss, which gives candidates; they are scored again with their own vectors.

    A row that is left with fewer than k candidates is searched exactly.

    Args:
        items: float32 ``[1 + n_items, d]``; row 0 is padding.
        index: Index of faiss over the rows from 1 on.
        **options: Options of the search, see the subclass.
    """

    name: ClassVar[str]
    build_options: ClassVar[dict[str, int]]
    """Options of :meth:`build` and their defaults, 0 for one that depends on the catalogue."""
    search_options: ClassVar[dict[str, int]]
    """The same for a search; they can be changed whenever an index is opened."""

    def __init__(self, items: Tensor, index: Any, **options: int) -> None:
        self.items, self.index = items, index
        self.options = {**self.search_options, **options}
        self._exact: ExactIndex | None = None
        self.prepare()

    @classmethod
    def build(cls, items: Tensor, **options: int) -> FaissIndex:
        """Build the index of items, float32 ``[1 + n_items, d]``; options are of the building and of the search."""
        build = {key: options.get(key, value) for key, value in cls.build_options.items()}
        search = {key: options[key] for key in cls.search_options if key in options}
        return cls(items, cls._built(items[1:].numpy(), **build), **search)

    @classmethod
    def _built(cls, vectors: np.ndarray, **options: int) -> Any:
        raise NotImplementedError

    def prepare(self) -> None:
        """Hand the options of the search to faiss."""
        raise NotImplementedError

    def _candidates(self, query: np.ndarray, n: int) -> np.ndarray:
        """Rows of items from 0 on, -1 where there are none: int64 ``[rows, n or more]``."""
        return self.index.search(query, n)[1]

    @torch.no_grad()
    def search(self, query: Tensor, k: int, excluded: Pairs | None = None) -> TopK:
        """See :meth:`Index.search`."""
        n_rows, n_items = len(query), len(self.items) - 1
        best = TopK(query.new_full((n_rows, k), -torch.inf), torch.zeros(n_rows, k, dtype=torch.int64))
        pairs = torch.empty(0, dtype=torch.int64)
        n_out = torch.zeros(n_rows, dtype=torch.int64)
        if excluded is not None:
            pairs = torch.unique(excluded[0] * (n_items + 1) + excluded[1])
            n_out = torch.bincount(pairs // (n_items + 1), minlength=n_rows)
        # Powers of two, so that one row with a long history does not make all others fetch as many.
        bucket = torch.where(n_out > 0, (n_out + k).double().log2().ceil().exp2().long(), k).clamp_max(n_items)
        for size in bucket.unique().tolist():
            if size > MAX_FETCHED:
                continue
            for rows in (bucket == size).nonzero().flatten().split(max(GATHERED // (size * query.shape[1]), 1)):
                items = torch.from_numpy(self._candidates(query[rows].numpy(), size)) + 1
                vectors = self.items.index_select(0, items.flatten()).view(*items.shape, -1)
                scores = torch.bmm(vectors, query[rows].unsqueeze(2)).squeeze(2)
                removed = (items == 0) | torch.isin(rows.unsqueeze(1) * (n_items + 1) + items, pairs)
                scores.masked_fill_(removed, -torch.inf)
                best.scores[rows], place = scores.topk(k, dim=1)
                best.items[rows] = items.gather(1, place)
        short = (best.scores > -torch.inf).sum(1) < (n_items - n_out).clamp(max=k)
        if short.any():
            self._search_exactly(short.nonzero().flatten(), query, k, excluded, best)
        return TopK(best.scores, best.items.masked_fill_(best.scores.isneginf(), 0))

    def _search_exactly(self, rows: Tensor, query: Tensor, k: int, excluded: Pairs | None, best: TopK) -> None:
        self._exact = self._exact or ExactIndex(self.items)
        if excluded is not None:
            of_rows = torch.isin(excluded[0], rows)
            excluded = torch.searchsorted(rows, excluded[0][of_rows]), excluded[1][of_rows]
        best.scores[rows], best.items[rows] = self._exact.search(query[rows], k, excluded)

    @property
    def n_bytes(self) -> int:
        """See :meth:`Index.n_bytes`; without the vectors that candidates are scored with."""
        return len(imported_faiss().serialize_index(self.index))

    def save(self, file: Path) -> None:
        """Write what the index adds to the items, as arrays."""
        write_tensors(file, {name: torch.from_numpy(array) for name, array in self._arrays().items()})

    @classmethod
    def load(cls, items: Tensor, file: Path, **options: int) -> FaissIndex:
        """Read what :meth:`save` wrote; nothing reaches faiss that was not checked.

        Args:
            items: Items in the index.
            file: Written by :meth:`save`.
            **options: Options of the building and of the search.

        Raises:
            RequestError: The index is damaged, or not of these items.
        """
        shapes = cls._shapes(len(items) - 1, items.shape[1], tensor_shapes(file))
        expected = {
            name: torch.empty(shape, dtype=getattr(torch, dtype), device="meta")
            for name, (shape, dtype) in shapes.items()
        }
        arrays = {name: tensor.numpy() for name, tensor in read_tensors(file, expected).items()}
        try:
            index = cls._restored(items[1:].numpy(), arrays, options)
        except (ValueError, RuntimeError) as error:
            raise RequestError(f"{file} does not belong here: {error}; export again") from error
        return cls(items, index, **{key: options[key] for key in cls.search_options if key in options})

    def _arrays(self) -> Arrays:
        raise NotImplementedError

    @classmethod
    def _shapes(cls, n_items: int, dimensions: int, stored: dict[str, list[int]]) -> Shapes:
        raise NotImplementedError

    @classmethod
    def _restored(cls, vectors: np.ndarray, arrays: Arrays, options: dict[str, int]) -> Any:
        raise NotImplementedError


def imported_faiss() -> Any:
    """The module faiss.

    Raises:
        RequestError: It is not installed.
    """
    try:
        import faiss
    except ImportError as error:
        raise RequestError("this index needs faiss: pip install 'faiss-cpu>=1.9,<2', or --index=exact") from error
    return faiss
