"""The kinds of index by name, their options, and the threads of a search."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest
from recbole_logq.numerals import as_whole
from recbole_logq.serving.exact_index import ExactIndex
from recbole_logq.serving.faiss_index import FaissIndex, imported_faiss
from recbole_logq.serving.hnsw_index import HnswIndex, check_neighbours
from recbole_logq.serving.ivfpq_index import IvfPqIndex

APPROXIMATE: dict[str, type[FaissIndex]] = {index.name: index for index in (HnswIndex, IvfPqIndex)}
NAMES = (ExactIndex.name, *APPROXIMATE)


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
        imported_faiss()
    if not isinstance(options, dict):
        raise RequestError(f"index_options={options!r}: a mapping, such as --index_options.ef_search=128")
    for key, value in options.items():
        if key not in known:
            accepted = f"has {', '.join(sorted(known))}" if known else "has none"
            raise RequestError(f"unknown setting index_options.{key}{nearest(key, known)} ({name} {accepted})")
        number = as_whole(value)
        if number is None or not 1 <= number < 1 << 31:
            raise RequestError(f"index_options.{key}={value!r}: a whole number, 1 or more, below {1 << 31:,}")
        if key == "neighbours":
            check_neighbours(number)
        checked[key] = number
    return checked


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
