"""What an index costs and what it gives, against exact search."""

from __future__ import annotations

from collections.abc import Sequence
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from recbole_logq.serving.exact_index import ExactIndex, Index
from recbole_logq.serving.index import set_threads

ROWS = 256
"""Queries of a block whose seconds are taken."""


def compare_with_exact(index: Index, exact: ExactIndex, query: Tensor, ks: Sequence[int]) -> dict[str, Any]:
    """Recall and speed of one thread.

    Args:
        index: Index to measure.
        exact: Exact index of the same items.
        query: float32 ``[rows, d]``.
        ks: Lengths of the list.

    Returns:
        ``queries``, and for each k ``recall@k`` (share of the exact best k that the index finds, mean over queries),
        ``queries_per_second@k`` and ``exact_queries_per_second@k``.
    """
    quality: dict[str, Any] = {"queries": len(query)}
    for k in ks:
        best, exact_speed = timed(exact, query, k)
        items, speed = timed(index, query, k)
        quality[f"recall@{k}"] = round(recall(items, best), 4)
        quality[f"queries_per_second@{k}"] = round(speed)
        quality[f"exact_queries_per_second@{k}"] = round(exact_speed)
    return quality


def recall(items: Tensor, best: Tensor) -> float:
    """Share of ``best`` int64 ``[rows, k]`` that is in ``items`` of the same shape, mean over rows."""
    rows = torch.arange(len(best)).unsqueeze(1) * (int(best.max()) + 1)
    return float(torch.isin(best + rows, items + rows).double().mean())


def timed(index: Index, query: Tensor, k: int, passes: int = 1) -> tuple[Tensor, float]:
    """Items found, and queries a second in one thread, the best of some passes; a first block warms up."""
    with set_threads(1):
        index.search(query[:ROWS], k)
        seconds = []
        for _ in range(passes):
            start = perf_counter()
            blocks = [index.search(part, k).items for part in query.split(ROWS)]
            seconds.append(perf_counter() - start)
    return torch.cat(blocks), len(query) / min(seconds)
