"""Cells of items whose vectors are quantised: a few bytes an item."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from recbole_logq.errors import RequestError
from recbole_logq.serving.faiss_index import FaissIndex, Shapes, imported_faiss
from recbole_logq.serving.index_arrays import Arrays, ivfpq_arrays, restore_ivfpq, shapes_of_ivfpq

TRAINED_ON = 64
"""Vectors per cell that an IVF-PQ index learns its cells from, at most."""


class IvfPqIndex(FaissIndex):
    """Cells of items with product-quantised vectors (Jegou et al., TPAMI 2011): a few bytes an item.

    ``refine`` times as many candidates as asked for are scored again with their own vectors.
    """

    name: ClassVar[str] = "ivfpq"
    build_options: ClassVar[dict[str, int]] = {"cells": 0, "bytes": 0}
    search_options: ClassVar[dict[str, int]] = {"probes": 32, "refine": 4}

    @classmethod
    def _built(cls, vectors: np.ndarray, **options: int) -> Any:
        faiss = imported_faiss()
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
        return ivfpq_arrays(self.index, imported_faiss())

    @classmethod
    def _shapes(cls, n_items: int, dimensions: int, stored: dict[str, list[int]]) -> Shapes:
        return shapes_of_ivfpq(n_items, dimensions, stored)

    @classmethod
    def _restored(cls, vectors: np.ndarray, arrays: Arrays, options: dict[str, int]) -> Any:
        return restore_ivfpq(imported_faiss(), arrays)

    def _candidates(self, query: np.ndarray, n: int) -> np.ndarray:
        return super()._candidates(query, min(n * self.options["refine"], len(self.items) - 1))
