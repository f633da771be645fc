"""Search for the best items: exactly with torch, or approximately with faiss."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.evaluation.top_k import Catalogue, Pairs, TopK
from recbole_logq.nearest import nearest
from recbole_logq.numerals import as_whole
from recbole_logq.serving.index_arrays import (
    Arrays,
    hnsw_arrays,
    ivfpq_arrays,
    restore_hnsw,
    restore_ivfpq,
    shapes_of_hnsw,
    shapes_of_ivfpq,
)
from recbole_logq.serving.tensors import read_tensors, tensor_shapes, write_tensors

MAX_FETCHED = 4096
"""Items that an approximate search fetches for a row, at most; a row that needs more is searched exactly."""
GATHERED = 1 << 23
"""Numbers of candidates' vectors that are gathered at once, 32 MB."""
TRAINED_ON = 64
"""Vectors per cell that an IVF-PQ index learns its cells from, at most."""
MAX_NEIGHBOURS = 1024
"""Links of an item in HNSW."""
Shapes = dict[str, tuple[list[int], str]]


class Index(Protocol):
    """Items that can be searched.

    Scores are inner products of the vectors as they are, whatever the index keeps; nothing is subtracted from them.
    """

    name: ClassVar[str]

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
        found = self._catalogue.top_k(query, k, excluded)
        return TopK(found.scores, found.items.masked_fill_(found.scores.isneginf(), 0))

    @property
    def n_bytes(self) -> int:
        """See :meth:`Index.n_bytes`."""
        return self.items.nbytes


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
        found = TopK(query.new_full((n_rows, k), -torch.inf), torch.zeros(n_rows, k, dtype=torch.int64))
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
                gone = (items == 0) | torch.isin(rows.unsqueeze(1) * (n_items + 1) + items, pairs)
                scores.masked_fill_(gone, -torch.inf)
                found.scores[rows], place = scores.topk(k, dim=1)
                found.items[rows] = items.gather(1, place)
        short = (found.scores > -torch.inf).sum(1) < (n_items - n_out).clamp(max=k)
        if short.any():
            self._search_exactly(short.nonzero().flatten(), query, k, excluded, found)
        return TopK(found.scores, found.items.masked_fill_(found.scores.isneginf(), 0))

    def _search_exactly(self, rows: Tensor, query: Tensor, k: int, excluded: Pairs | None, found: TopK) -> None:
        self._exact = self._exact or ExactIndex(self.items)
        if excluded is not None:
            mine = torch.isin(excluded[0], rows)
            excluded = torch.searchsorted(rows, excluded[0][mine]), excluded[1][mine]
        found.scores[rows], found.items[rows] = self._exact.search(query[rows], k, excluded)

    @property
    def n_bytes(self) -> int:
        """See :meth:`Index.n_bytes`; without the vectors that candidates are scored with."""
        return len(_faiss().serialize_index(self.index))

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
    def _shapes(cls, n_items: int, dimensions: int, found: dict[str, list[int]]) -> Shapes:
        raise NotImplementedError

    @classmethod
    def _restored(cls, vectors: np.ndarray, arrays: Arrays, options: dict[str, int]) -> Any:
        raise NotImplementedError


class HnswIndex(FaissIndex):
    """A navigable graph of the items (Malkov & Yashunin, TPAMI 2020), in L2.

    Inner products become distances by one more dimension (Bachrach et al., "Speeding Up the Xbox Recommender System
    Using a Euclidean Transformation for Inner-Product Spaces", RecSys 2014, section 2.2): with M the largest norm,
    items are ``(x, sqrt(M^2 - |x|^2))`` and queries ``(q, 0)``, so that ``|q' - x'|^2 = |q|^2 + M^2 - 2 q.x``.
    """

    name: ClassVar[str] = "hnsw"
    build_options: ClassVar[dict[str, int]] = {"neighbours": 32, "ef_construction": 100}
    search_options: ClassVar[dict[str, int]] = {"ef_search": 128}

    @classmethod
    def _built(cls, vectors: np.ndarray, **options: int) -> Any:
        index = cls._empty(vectors.shape[1], options["neighbours"])
        index.hnsw.efConstruction = options["ef_construction"]
        index.add(to_l2(vectors))
        return index

    @classmethod
    def _empty(cls, dimensions: int, neighbours: int) -> Any:
        check_neighbours(neighbours)
        faiss = _faiss()
        return faiss.IndexHNSWFlat(dimensions + 1, neighbours, faiss.METRIC_L2)

    def prepare(self) -> None:
        """See :meth:`FaissIndex.prepare`."""
        self.index.hnsw.efSearch = min(self.options["ef_search"], len(self.items) - 1)

    def _arrays(self) -> Arrays:
        return hnsw_arrays(self.index, _faiss())

    @classmethod
    def _shapes(cls, n_items: int, dimensions: int, found: dict[str, list[int]]) -> Shapes:
        return shapes_of_hnsw(n_items, found)

    @classmethod
    def _restored(cls, vectors: np.ndarray, arrays: Arrays, options: dict[str, int]) -> Any:
        neighbours = options.get("neighbours", cls.build_options["neighbours"])
        index = cls._empty(vectors.shape[1], neighbours)
        restore_hnsw(index, _faiss(), to_l2(vectors), arrays)
        return index

    def _candidates(self, query: np.ndarray, n: int) -> np.ndarray:
        return super()._candidates(np.pad(query, ((0, 0), (0, 1))), n)


class IvfPqIndex(FaissIndex):
    """Cells of items with product-quantised vectors (Jegou et al., TPAMI 2011): a few bytes an item.

    ``refine`` times as many candidates as asked for are scored again with their own vectors.
    """

    name: ClassVar[str] = "ivfpq"
    build_options: ClassVar[dict[str, int]] = {"cells": 0, "bytes": 0}
    search_options: ClassVar[dict[str, int]] = {"probes": 32, "refine": 4}

    @classmethod
    def _built(cls, vectors: np.ndarray, **options: int) -> Any:
        faiss = _faiss()
        n_items, size = vectors.shape
        if n_items < 256:
            raise RequestError(f"index=ivfpq learns 256 code words and there are {n_items} items: set --index=hnsw")
        cells = options["cells"] or min(round(4 * math.sqrt(n_items)), n_items // 39)
        n_bytes = options["bytes"] or max(part for part in range(1, max(size // 2, 1) + 1) if size % part == 0)
        if size % n_bytes:
            raise RequestError(f"index_options.bytes={n_bytes} does not divide vectors of {size} dimensions")
        if not 1 <= cells <= n_items:
            raise RequestError(f"index_options.cells={cells}: from 1 to the {n_items} items")
        index = faiss.IndexIVFPQ(faiss.IndexFlatIP(size), size, cells, n_bytes, 8, faiss.METRIC_INNER_PRODUCT)
        index.cp.max_points_per_centroid = TRAINED_ON
        index.cp.min_points_per_centroid = 1
        index.train(vectors[np.random.default_rng(0).permutation(n_items)[: max(TRAINED_ON * cells, 2**16)]])
        index.add(vectors)
        return index

    def prepare(self) -> None:
        """See :meth:`FaissIndex.prepare`."""
        self.index.nprobe = min(self.options["probes"], self.index.nlist)

    def _arrays(self) -> Arrays:
        return ivfpq_arrays(self.index, _faiss())

    @classmethod
    def _shapes(cls, n_items: int, dimensions: int, found: dict[str, list[int]]) -> Shapes:
        return shapes_of_ivfpq(n_items, dimensions, found)

    @classmethod
    def _restored(cls, vectors: np.ndarray, arrays: Arrays, options: dict[str, int]) -> Any:
        return restore_ivfpq(_faiss(), arrays)

    def _candidates(self, query: np.ndarray, n: int) -> np.ndarray:
        return super()._candidates(query, min(n * self.options["refine"], len(self.items) - 1))


APPROXIMATE: dict[str, type[FaissIndex]] = {index.name: index for index in (HnswIndex, IvfPqIndex)}
NAMES = (ExactIndex.name, *APPROXIMATE)


def to_l2(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``[n, d]`` with the dimension that makes distances of inner products, ``[n, d + 1]``."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)  # without a copy of all in float64
    rest = np.sqrt(squares.max(initial=0) - squares).astype(np.float32)
    return np.concatenate([vectors, rest[:, None]], axis=1)


def check_index(name: Any, options: Any) -> dict[str, int]:
    """The options of an index, checked before any work.

    Raises:
        RequestError: No such index or option, a value that is none, or faiss is not installed.
    """
    if name not in NAMES:
        raise RequestError(f"index={name!r}{nearest(str(name), set(NAMES))}: one of {', '.join(NAMES)}")
    options, checked = options or {}, {}
    known: set[str] = set()
    if name in APPROXIMATE:
        known = {*APPROXIMATE[name].build_options, *APPROXIMATE[name].search_options}
        _faiss()
    if not isinstance(options, dict):
        raise RequestError(f"index_options={options!r}: a mapping, such as --index_options.ef_search=128")
    for key, value in options.items():
        if key not in known:
            has = f"has {', '.join(sorted(known))}" if known else "has none"
            raise RequestError(f"unknown setting index_options.{key}{nearest(key, known)} ({name} {has})")
        number = as_whole(value)
        if number is None or not 1 <= number < 1 << 31:
            raise RequestError(f"index_options.{key}={value!r}: a whole number, 1 or more, below {1 << 31:,}")
        if key == "neighbours":
            check_neighbours(number)
        checked[key] = number
    return checked


def check_neighbours(n: int) -> None:
    """Raise ``RequestError`` for a number of links that faiss cannot make: at 1 it ends the process."""
    if not 2 <= n <= MAX_NEIGHBOURS:
        raise RequestError(f"index_options.neighbours={n}: from 2 to {MAX_NEIGHBOURS}")


def _faiss() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise RequestError("this index needs faiss: pip install 'faiss-cpu>=1.9,<2', or --index=exact") from error
    return faiss


@contextmanager
def set_threads(n: int | None) -> Iterator[None]:
    """Search with that many threads; with torch's own number for None."""
    if n is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(n)
    # Only where it was imported: exact search needs no faiss.
    faiss = sys.modules.get("faiss")
    faiss_before = faiss.omp_get_max_threads() if faiss else n
    if faiss:
        faiss.omp_set_num_threads(n)
    try:
        yield
    finally:
        torch.set_num_threads(before)
        if faiss:
            faiss.omp_set_num_threads(faiss_before)
