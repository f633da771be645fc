"""A graph of the items, searched by distances that are made of inner products."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from recbole_logq.errors import RequestError
from recbole_logq.serving.faiss_index import FaissIndex, Shapes, imported_faiss
from recbole_logq.serving.index_arrays import Arrays, hnsw_arrays, restore_hnsw, shapes_of_hnsw

MAX_NEIGHBOURS = 1024
"""Links of an item in HNSW."""


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
        faiss = imported_faiss()
        return faiss.IndexHNSWFlat(dimensions + 1, neighbours, faiss.METRIC_L2)

    def prepare(self) -> None:
        """See :meth:`FaissIndex.prepare`."""
        self.index.hnsw.efSearch = min(self.options["ef_search"], len(self.items) - 1)

    def _arrays(self) -> Arrays:
        return hnsw_arrays(self.index, imported_faiss())

    @classmethod
    def _shapes(cls, n_items: int, dimensions: int, stored: dict[str, list[int]]) -> Shapes:
        return shapes_of_hnsw(n_items, stored)

    @classmethod
    def _restored(cls, vectors: np.ndarray, arrays: Arrays, options: dict[str, int]) -> Any:
        neighbours = options.get("neighbours", cls.build_options["neighbours"])
        index = cls._empty(vectors.shape[1], neighbours)
        restore_hnsw(index, imported_faiss(), to_l2(vectors), arrays)
        return index

    def _candidates(self, query: np.ndarray, n: int) -> np.ndarray:
        return super()._candidates(np.pad(query, ((0, 0), (0, 1))), n)


def to_l2(vectors: np.ndarray) -> np.ndarray:
    """Vectors ``[n, d]`` with the dimension that makes distances of inner products, ``[n, d + 1]``."""
    squares = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)  # without a copy of all in float64
    rest = np.sqrt(squares.max(initial=0) - squares).astype(np.float32)
    return np.concatenate([vectors, rest[:, None]], axis=1)


def check_neighbours(n: int) -> None:
    """Raise ``RequestError`` for a number of links that faiss cannot make: at 1 it ends the process."""
    if not 2 <= n <= MAX_NEIGHBOURS:
        raise RequestError(f"index_options.neighbours={n}: from 2 to {MAX_NEIGHBOURS}")
