"""A mask by search against the same mask element by element."""

from typing import Any

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.matches import find_matches
from recbole_logq.samplers import any_column

ROWS, POOL, ITEMS = 60, 40, 300


def mask_of(kinds: str, items: int = ITEMS) -> ColumnMask:
    """A mask by ids, by the rows that columns came from, or by both; some columns came from nowhere."""
    generator = torch.Generator().manual_seed(3)
    ids = torch.randint(1, items, (ROWS,), generator=generator)
    windows = torch.arange(ROWS) // 3
    origin = torch.randint(-1, ROWS, (POOL,), generator=generator)
    column_id = torch.where(origin < 0, 7, ids[origin])
    keys: dict[str, Any] = {}
    if "ids" in kinds:
        keys |= {"row_id": ids, "column_id": column_id}
    if "windows" in kinds:
        keys |= {"row_key": windows, "column_key": torch.where(origin < 0, -1, windows[origin])}
    return ColumnMask(**keys)


@pytest.mark.parametrize("kinds", ["ids", "windows", "ids and windows"])
def test_what_is_found_is_what_the_mask_takes_out(kinds: str) -> None:
    mask = mask_of(kinds)
    whole = mask(0, ROWS)
    assert mask.matches is not None
    assert (~whole).any()
    assert torch.equal(mask.matches.others, whole.sum(1, dtype=torch.int32))
    assert torch.equal(any_column(mask, ROWS), whole.any(1))
    for start, stop in ((0, ROWS), (0, 17), (17, 18), (18, ROWS)):
        scores = torch.zeros(stop - start, POOL)
        mask.matches.fill_(scores, start, stop, -1.0)
        assert torch.equal(scores == 0, whole[start:stop])


def test_many_matches_are_left_to_the_mask() -> None:
    assert mask_of("ids", items=3).matches is None
    assert ColumnMask(row_set=torch.zeros(2).long(), held=torch.zeros(1, 3, dtype=torch.bool)).matches is None
    assert find_matches([(torch.empty(0).long(), torch.arange(3))]) is None


def test_a_row_whose_columns_all_match_counts_none() -> None:
    row_id = torch.arange(20)
    mask = ColumnMask(row_id=row_id, column_id=torch.tensor([4]))
    assert mask.matches is not None
    assert any_column(mask, 20).tolist() == [item != 4 for item in range(20)]


@pytest.mark.parametrize("block_rows", [7, 1024])
@pytest.mark.parametrize("name", ["corrected_logq", "logq"])
def test_losses_and_gradients_are_those_of_the_mask_as_a_tensor(name: str, block_rows: int) -> None:
    mask = mask_of("ids and windows")
    generator = torch.Generator().manual_seed(4)
    vectors = [torch.randn(n, 5, generator=generator, dtype=torch.float64) for n in (ROWS, ROWS, POOL)]
    log_q = {"positive_log_q": torch.full((ROWS,), -5.0), "negative_log_q": -torch.rand(POOL, generator=generator) - 4}
    found = []
    for valid in (mask, mask(0, ROWS)):
        leaves = [tensor.clone().requires_grad_() for tensor in vectors]
        values = get_loss(name).from_vectors(*leaves, valid=valid, block_rows=block_rows, **log_q)
        values.sum().backward()
        found.append([values, *(leaf.grad for leaf in leaves)])
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-12, atol=1e-12)
