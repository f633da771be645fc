"""The vectors of a folder's items: one array of numpy's plainest kind."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from recbole_logq.errors import RequestError

LARGEST = 1e15
"""Largest magnitude of a number of a vector; products of larger ones are beyond float32."""
_HEAD = re.compile(rb"\{'descr': '<f4', 'fortran_order': False, 'shape': \((\d{1,18}), (\d{1,18})\), \} *\n")
_MAGIC = b"\x93NUMPY\x01\x00"


def write_vectors(file: Path, vectors: np.ndarray) -> None:
    """Write float32 ``[n_items, d]``; the first has id 1."""
    np.save(file, np.ascontiguousarray(vectors, dtype=np.float32), allow_pickle=False)


def read_vectors(file: Path, n_items: int, dimensions: int) -> Tensor:
    """What :func:`write_vectors` wrote, float32 ``[1 + n_items, d]``; row 0 is padding.

    The head is compared with what it must be, not interpreted, and memory is taken for what the file really holds.

    Raises:
        RequestError: The file is damaged, of another shape or type, or holds what is no number of a vector.
    """
    try:
        with file.open("rb") as opened:
            magic, size = opened.read(len(_MAGIC)), int.from_bytes(opened.read(2), "little")
            head = _HEAD.fullmatch(opened.read(size))
            if magic != _MAGIC or not head:
                raise RequestError(f"{file} is damaged: no float32 array of two dimensions; export again")
            shape = (int(head[1]), int(head[2]))
            if shape != (n_items, dimensions) or file.stat().st_size - opened.tell() != 4 * n_items * dimensions:
                raise RequestError(f"{file} does not hold {n_items:,} vectors of {dimensions:,} numbers: export again")
            items = torch.zeros(n_items + 1, dimensions)
            items[1:] = torch.from_numpy(np.fromfile(opened, np.float32).reshape(shape))
    except OSError as error:
        raise RequestError(f"{file} cannot be read: {error.strerror}; export again") from error
    if not in_range(items):
        raise RequestError(f"{file} has values that are no finite numbers, or beyond {LARGEST:.0e}: export again")
    return items


def in_range(vectors: Tensor) -> bool:
    """Whether all numbers are finite and far from where their products are not."""
    if not vectors.numel():
        return True
    low, high = torch.aminmax(vectors)
    return bool((low >= -LARGEST) & (high <= LARGEST))  # false for NaN
