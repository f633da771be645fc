"""LazyAdam against torch's Adam where they must agree, and against the formula where they must not."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_

from recbole_logq.training.lazy_adam import LazyAdam, merge_rows, merged_without_waiting


def _models(sparse: bool) -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"table": nn.Embedding(7, 3, sparse=sparse), "layer": nn.Linear(3, 3)}).double()


def _backward(model: nn.ModuleDict, ids: list[int]) -> None:
    model.zero_grad(set_to_none=True)
    # Two lookups, and rows that stand in both and twice in one.
    first, second = model["table"](torch.tensor(ids)), model["table"](torch.tensor(ids[::-1]))
    ((model["layer"](first) * second).sum(1) * torch.arange(1.0, len(ids) + 1).double()).sum().backward()


@pytest.mark.parametrize("fused", [False, True])
def test_equals_adam_where_every_row_has_a_gradient_in_every_step(fused: bool) -> None:
    dense, sparse = _models(False), _models(True)
    adam = torch.optim.Adam(dense.parameters(), lr=0.1, fused=fused)
    lazy = LazyAdam(sparse.parameters(), lr=0.1, fused=fused)
    for _ in range(5):
        for model, optimizer in ((dense, adam), (sparse, lazy)):
            _backward(model, [0, 1, 2, 3, 4, 5, 6, 2, 2])
            optimizer.step()
    for left, right in zip(dense.parameters(), sparse.parameters(), strict=True):
        torch.testing.assert_close(left, right, rtol=1e-7, atol=1e-9)


def test_a_row_counts_its_own_steps_and_others_stay_untouched() -> None:
    model = _models(True)
    before = model["table"].weight.detach().clone()
    optimizer = LazyAdam(model.parameters(), lr=0.1)
    for _ in range(3):
        _backward(model, [1, 2])
        optimizer.step()
    assert torch.equal(model["table"].weight[3:], before[3:])
    late = model["table"].weight[5].detach().clone()
    _backward(model, [5, 1])
    optimizer.step()
    # The first step of a row is the learning rate against the sign of its gradient, whenever it comes.
    gradient = model["table"].weight.grad.coalesce().to_dense()[5]
    torch.testing.assert_close(model["table"].weight[5].detach(), late - 0.1 * gradient.sign(), rtol=1e-6, atol=1e-6)
    assert optimizer.state[model["table"].weight]["step"].flatten().tolist() == [0, 4, 3, 0, 0, 1, 0]


def test_duplicates_are_merged_before_they_are_squared() -> None:
    table = nn.Embedding(3, 1, sparse=True)
    optimizer = LazyAdam(table.parameters(), lr=1.0, betas=(0.0, 0.0), eps=0.0)
    for weights in ([1.0, 2.0], [3.0, 4.0]):
        optimizer.zero_grad()
        (table(torch.tensor([1, 1])).flatten() * torch.tensor(weights)).sum().backward()
        optimizer.step()
    assert math.isclose(optimizer.state[table.weight]["exp_avg_sq"][1].item(), 49.0)


def test_weight_decay_is_refused() -> None:
    model = _models(True)
    optimizer = LazyAdam(model.parameters(), lr=0.1, weight_decay=0.01)
    _backward(model, [1, 2])
    with pytest.raises(ValueError, match="weight_decay"):
        optimizer.step()


def test_state_round_trip_continues_to_the_same_weights() -> None:
    straight = _models(True)
    optimizer = LazyAdam([{"params": straight.parameters()}], lr=0.1, fused=True)
    steps = [[1, 2, 2], [2, 5], [6, 1], [5, 5]]
    for position, ids in enumerate(steps):
        if position == 2:
            resumed, state = copy.deepcopy(straight), copy.deepcopy(optimizer.state_dict())
        _backward(straight, ids)
        optimizer.step()
    again = LazyAdam([{"params": resumed.parameters()}], lr=0.5, fused=True)
    again.load_state_dict(state)
    for ids in steps[2:]:
        _backward(resumed, ids)
        again.step()
    for left, right in zip(straight.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(left, right)


def test_clipping_sees_merged_rows() -> None:
    dense, sparse = _models(False), _models(True)
    norms = []
    for model in (dense, sparse):
        _backward(model, [1, 2, 2, 4])
        merge_rows(model)
        norms.append(clip_grad_norm_(model.parameters(), 0.5))
    torch.testing.assert_close(*norms)
    torch.testing.assert_close(dense["table"].weight.grad, sparse["table"].weight.grad.to_dense())


def test_merging_without_waiting_is_coalescing() -> None:
    """What an accelerator merges has the same rows; entries that are left over are zeros of the padding."""
    ids = torch.tensor([[3, 1, 3, 0, 2, 1, 1]])
    values = torch.randn(7, 4, generator=torch.Generator().manual_seed(0)).masked_fill_((ids[0] == 0).unsqueeze(1), 0.0)
    gradient = torch.sparse_coo_tensor(ids, values, (6, 4), check_invariants=True)
    merged = merged_without_waiting(gradient)
    assert merged.is_coalesced()
    torch.testing.assert_close(merged.to_dense(), gradient.to_dense())
    assert merged.indices()[0].tolist() == [0, 1, 2, 3, 0, 0, 0]
    tables = [torch.nn.Parameter(torch.ones(6, 4)) for _ in range(2)]
    for table, grad in zip(tables, (gradient, merged), strict=True):
        optimizer = LazyAdam([table], lr=0.1)
        for _ in range(3):
            table.grad = grad.clone()
            optimizer.step()
    torch.testing.assert_close(tables[1], tables[0])
