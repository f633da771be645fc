"""An index of faiss as arrays, and back again after every one of them was checked.

faiss trusts its own files: a link to an item that there is not makes it read memory that is not its own. So a folder
keeps the links, cells and codes as tensors, and the index is put together from those that cannot do harm.
"""

from __future__ import annotations

from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]


def hnsw_arrays(index: Any, faiss: Any) -> Arrays:
    """Levels of the items and their links; the vectors are those of the folder."""
    graph = index.hnsw
    return {
        "levels": faiss.vector_to_array(graph.levels),
        "neighbours": faiss.vector_to_array(graph.neighbors),
        "entry": np.array([graph.entry_point], dtype=np.int64),
    }


def shapes_of_hnsw(n_items: int, stored: dict[str, list[int]]) -> dict[str, tuple[list[int], str]]:
    """Shape and type of each array; how many links there are is up to the file."""
    n_links = (stored.get("neighbours") or [0])[0]
    return {"levels": ([n_items], "int32"), "neighbours": ([n_links], "int32"), "entry": ([1], "int64")}


def restore_hnsw(index: Any, faiss: Any, vectors: np.ndarray, arrays: Arrays) -> None:
    """Fill an empty index.

    Args:
        index: Index of faiss, made with as many neighbours.
        faiss: The module.
        vectors: Vectors of the index, float32 ``[n_items, d]``.
        arrays: Arrays as :func:`hnsw_arrays` gives them.

    Raises:
        ValueError: A level or a link is none that such a graph has.
    """
    graph = index.hnsw
    until = faiss.vector_to_array(graph.cum_nneighbor_per_level).astype(np.int64)  # links up to each level
    levels, links, entry = arrays["levels"].astype(np.int64), arrays["neighbours"], int(arrays["entry"][0])
    if levels.min() < 1 or levels.max() >= len(until):
        raise ValueError("an item is on a level that there is not")
    offsets = np.concatenate([[0], until[levels].cumsum()])
    if len(links) != offsets[-1]:
        raise ValueError(f"{len(links):,} links and not {offsets[-1]:,}")
    if not 0 <= entry < len(levels) or levels[entry] != levels.max():
        raise ValueError("the search starts at an item that is not on the highest level")
    if links.min() < -1 or links.max() >= len(levels):
        raise ValueError("a link leads to no item")
    for level in range(1, int(levels.max())):
        above = np.flatnonzero(levels > level)
        places = offsets[above][:, None] + np.arange(until[level], until[level + 1])
        ends = links[places]
        if (levels[ends[ends >= 0]] <= level).any():
            raise ValueError("a link leads to an item that is not on its level")
    index.storage.add(vectors)
    faiss.copy_array_to_vector(arrays["levels"], graph.levels)
    faiss.copy_array_to_vector(offsets.astype(np.uint64), graph.offsets)
    faiss.copy_array_to_vector(links, graph.neighbors)
    graph.entry_point, graph.max_level, index.ntotal = entry, int(levels.max()) - 1, len(vectors)


def ivfpq_arrays(index: Any, faiss: Any) -> Arrays:
    """Centres of the cells, code words, and the items of each cell with their codes, cell after cell."""
    lists, size = index.invlists, index.code_size
    sizes = [lists.list_size(cell) for cell in range(index.nlist)]
    codes = [faiss.rev_swig_ptr(lists.get_codes(cell), n * size).copy() for cell, n in enumerate(sizes) if n]
    ids = [faiss.rev_swig_ptr(lists.get_ids(cell), n).copy() for cell, n in enumerate(sizes) if n]
    return {
        "cells": index.quantizer.reconstruct_n(0, index.nlist),
        "words": faiss.vector_to_array(index.pq.centroids).reshape(index.pq.M, 256, -1),
        "sizes": np.array(sizes, dtype=np.int64),
        "codes": np.concatenate(codes).reshape(-1, size),
        "items": np.concatenate(ids).astype(np.int64),
    }


def shapes_of_ivfpq(n_items: int, dimensions: int, stored: dict[str, list[int]]) -> dict[str, tuple[list[int], str]]:
    """Shape and type of each array; how many cells and bytes there are is up to the file."""
    n_cells, n_bytes = (stored.get("sizes") or [0])[0], (stored.get("words") or [0])[0]
    return {
        "cells": ([n_cells, dimensions], "float32"),
        "words": ([n_bytes, 256, dimensions // max(n_bytes, 1)], "float32"),
        "sizes": ([n_cells], "int64"),
        "codes": ([n_items, n_bytes], "uint8"),
        "items": ([n_items], "int64"),
    }


def restore_ivfpq(faiss: Any, arrays: Arrays) -> Any:
    """The index of arrays of :func:`ivfpq_arrays`.

    Raises:
        ValueError: The arrays are not those of an index.
    """
    cells, words, sizes, codes, items = (arrays[name] for name in ("cells", "words", "sizes", "codes", "items"))
    (n_cells, dimensions), n_bytes = cells.shape, len(words)
    if not n_cells or not n_bytes or dimensions % n_bytes:
        raise ValueError(f"{n_cells:,} cells and {n_bytes:,} bytes for {dimensions:,} dimensions")
    if sizes.min() < 0 or sizes.max() > len(items) or sizes.sum() != len(items):
        raise ValueError("the cells do not hold the items")
    if items.min() < 0 or items.max() >= len(items) or len(np.unique(items)) < len(items):
        raise ValueError("the cells do not hold each item once")
    quantizer = faiss.IndexFlatIP(dimensions)
    quantizer.add(np.ascontiguousarray(cells))
    index = faiss.IndexIVFPQ(quantizer, dimensions, n_cells, n_bytes, 8, faiss.METRIC_INNER_PRODUCT)
    faiss.copy_array_to_vector(np.ascontiguousarray(words).ravel(), index.pq.centroids)
    index.is_trained = True
    ends = sizes.cumsum()
    for cell, (end, size) in enumerate(zip(ends.tolist(), sizes.tolist(), strict=True)):
        if size:
            rows = slice(end - size, end)
            ids, bytes_ = np.ascontiguousarray(items[rows]), np.ascontiguousarray(codes[rows])
            index.invlists.add_entries(cell, size, faiss.swig_ptr(ids), faiss.swig_ptr(bytes_))
    index.ntotal = len(items)
    index.precompute_table()
    return index
