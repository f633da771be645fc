"""How many threads a training step has on the CPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

from recbole_logq.data.dataset.histories import HISTORY

SMALL = 1 << 26
"""Multiplications of a step's largest product below which a second thread costs more than it saves (measured by
``benchmarks/threads.py``)."""


def is_small(model: Any, rows: int) -> bool:
    """Whether a step is many small operations, halves of which cost more to hand out than they save.

    It is for a model of tables alone, whose largest product is that of queries and pool. Layers, histories and the
    whole catalogue are large.

    Args:
        model: Model of this package.
        rows: Training targets of a batch.
    """
    if next(model.parameters()).device.type != "cpu":
        return False
    if model.sampler.kind == "catalogue" or HISTORY in model.query_columns:
        return False
    if any(isinstance(module, nn.Linear) for module in model.modules()):
        return False
    # Of the tables: to encode an item would draw a dropout, and the numbers of a seed would be others.
    width = max(table.shape[-1] for table in model.parameters() if table.dim() == 2)
    return bool(rows * (model.sampler.count or rows) * width < SMALL)


@contextmanager
def threads_of_training(small: bool) -> Iterator[None]:
    """One thread for small steps, as many as there are for others."""
    threads = torch.get_num_threads()
    if small:
        torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
