"""Sizes of tiles by device: the CPU's stay in its cache, an accelerator's are few, and bounded by memory."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from recbole_logq.losses import Loss, get_loss, limits


class Operations(TorchDispatchMode):
    """Counts operations that compute on the `meta` device, where nothing is computed, and their largest result."""

    number = elements = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        made = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        self.number += bool(made) and not func.is_view
        self.elements = max([self.elements, *(leaf.numel() for leaf in made)])
        return result


def count(loss: Loss, rows: int, columns: int, **terms: Any) -> Operations:
    """A forward and a backward pass of width 128."""
    shapes = (rows, rows, columns)
    leaves = [torch.empty(shape, 128, device="meta", requires_grad=True) for shape in shapes]
    with Operations() as operations:
        loss.from_vectors(*leaves, **terms).mean().backward()
    return operations


@pytest.mark.parametrize(("name", "most"), [("corrected_logq", 48), ("bce", 40)])
def test_a_pool_is_one_tile_on_an_accelerator(name: str, most: int) -> None:
    valid = torch.empty(19_200, 256, dtype=torch.bool, device="meta")
    laws = {"positive_log_q": torch.empty(19_200, device="meta"), "negative_log_q": torch.empty(256, device="meta")}
    operations = count(get_loss(name), 19_200, 256, valid=valid, **laws if name == "corrected_logq" else {})
    assert operations.number <= most  # 210 and over 500 in tiles of 1,024 rows


@pytest.mark.parametrize(("items", "most"), [(20_000, 100), (1_000_000, 3_800)])
def test_a_catalogue_is_few_tiles_and_none_is_large(items: int, most: int) -> None:
    operations = count(get_loss("full_softmax"), 19_200, items)  # 603 and 5,321 before
    assert operations.number < most
    assert operations.elements <= max(limits.ACCELERATOR_TILE, 128 * items)


def test_the_cpu_keeps_its_tiles() -> None:
    assert limits.tile_rows(torch.device("cpu"), 256) == limits.tile_rows(torch.device("cpu"), 10**6) == 1024
    assert limits.tile_rows(torch.device("cuda"), 10**9) == 1
