"""The mean of a history against a loop over its items."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from recbole_logq.modules.bags import mean_by_weight, mean_of_real
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.fields import Column, EntityFields
from recbole_logq.modules.towers import HistoryTower

# Padding right, left, in the middle; an item twice; nothing at all.
HISTORY = torch.tensor([[3, 1, 0, 0], [0, 0, 4, 4], [2, 0, 0, 5], [6, 5, 4, 3], [0, 0, 0, 0], [0, 0, 0, 2]])


def made(sparse: bool = False, mlp_sizes: tuple[int, ...] = ()) -> tuple[HistoryTower, nn.Embedding]:
    torch.manual_seed(0)
    table = nn.Embedding(7, 3, padding_idx=0, sparse=sparse).double()
    return HistoryTower(3, mlp_sizes).double(), table


def by_hand(tower: HistoryTower, table: nn.Embedding, history: torch.Tensor) -> torch.Tensor:
    rows = []
    for ids in history.tolist():
        vectors = [table.weight[item] for item in ids if item]
        rows.append(sum(vectors) / len(vectors) if vectors else tower.empty)
    return tower.mlp(torch.stack(rows))


@pytest.mark.parametrize("mlp_sizes", [(), (5, 2)])
@pytest.mark.parametrize("sparse", [False, True])
def test_values_and_gradients_are_those_of_a_loop(sparse: bool, mlp_sizes: tuple[int, ...]) -> None:
    tower, table = made(sparse, mlp_sizes)
    found = tower(HISTORY, table)
    weight = torch.randn_like(found)
    (found * weight).sum().backward()
    gradients = [table.weight.grad, *(parameter.grad for parameter in tower.parameters())]
    assert gradients[0].is_sparse == sparse
    if sparse:
        assert 0 not in gradients[0].coalesce().indices()  # no entry for padding, not even one of zeros
    for parameter in (table.weight, *tower.parameters()):
        parameter.grad = None
    expected = by_hand(tower, table, HISTORY)
    assert expected.shape == (6, mlp_sizes[-1] if mlp_sizes else 3)
    torch.testing.assert_close(found, expected)
    (expected * weight).sum().backward()
    again = [table.weight.grad, *(parameter.grad for parameter in tower.parameters())]
    for one, other in zip(gradients, again, strict=True):
        torch.testing.assert_close(one.to_dense(), other.to_dense())


def test_only_empty_histories() -> None:
    tower, table = made()
    found = tower(torch.zeros(2, 4, dtype=torch.int64), table)
    assert torch.equal(found, tower.empty.expand(2, 3))
    found.sum().backward()
    assert not table.weight.grad.any()
    assert torch.equal(tower.empty.grad, torch.full((3,), 2.0, dtype=torch.float64))


def test_what_padding_holds_does_not_matter() -> None:
    tower, table = made()
    before = tower(HISTORY, table)
    table.weight.data[0] = 100.0
    assert torch.equal(before, tower(HISTORY, table))


def test_dropout_is_of_the_mean_and_off_in_evaluation() -> None:
    _, table = made()
    tower = HistoryTower(3, dropout=0.5).double()
    mean = by_hand(HistoryTower(3).double(), table, HISTORY[:4])
    torch.testing.assert_close(tower.eval()(HISTORY[:4], table), mean)
    dropped = tower.train()(HISTORY[:4], table)
    kept = dropped != 0
    assert 0 < kept.sum() < kept.numel()
    torch.testing.assert_close(dropped[kept], 2 * mean[kept])


@pytest.mark.parametrize("sparse", [False, True])
def test_accelerators_read_padding_and_get_the_same(sparse: bool) -> None:
    """The form that runs on accelerators, here on the CPU: values, gradients, and rows that do not move."""
    found = []
    for mean in (mean_of_real, mean_by_weight):
        _, table = made(sparse)
        values = mean(HISTORY, table)
        (values * torch.arange(values.numel(), dtype=torch.float64).view_as(values)).sum().backward()
        gradient = table.weight.grad
        assert gradient.is_sparse == sparse
        found.append((values, gradient.to_dense()))
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)
    assert not found[1][1][0].any()


def test_attention_starts_as_the_mean_and_weighs_by_query_and_distance() -> None:
    torch.manual_seed(0)
    table = nn.Embedding(7, 3, padding_idx=0).double()
    tower, mean = HistoryTower(3, attention_length=3).double(), HistoryTower(3).double()
    mean.empty = tower.empty
    torch.testing.assert_close(tower(HISTORY, table), mean(HISTORY, table))
    assert tower.attention is not None
    nn.init.normal_(tower.attention.query)
    nn.init.normal_(tower.attention.recency)
    expected = []
    for ids in HISTORY.tolist():
        items = [item for item in ids if item]
        vectors = table.weight[items]
        # From the end; what is farther than the longest history is as far as that.
        distance = [min(place, 2) for place in range(len(items))][::-1]
        weight = (vectors @ tower.attention.query + tower.attention.recency[distance]).softmax(0)
        expected.append(weight @ vectors if items else tower.empty)
    torch.testing.assert_close(tower(HISTORY, table), torch.stack(expected))
    few = torch.stack(expected)[:1]
    torch.testing.assert_close(tower(HISTORY[:1], table), few)  # fewer ids than the table has rows
    tower(HISTORY, table).sum().backward()
    for parameter in (tower.attention.query, tower.attention.recency, table.weight):
        assert torch.isfinite(parameter.grad).all()
        assert parameter.grad.any()


@pytest.mark.parametrize("attention_length", [None, 4])
@pytest.mark.parametrize("rows", [1, 6])
def test_histories_of_items_with_features(attention_length: int | None, rows: int) -> None:
    torch.manual_seed(0)
    seen = torch.tensor([False, *[True] * 5, False])
    fields = EntityFields.learned([Column(torch.tensor([0, 1, 2, 1, 2, 1, 2]), 3)], seen, 3, 0.5, lambda _: False)
    items = FeatureEmbedding(fields, 3, 0.5).double()
    tower = HistoryTower(3, attention_length=attention_length).double()
    table = nn.Embedding.from_pretrained(items.whole().detach())
    torch.testing.assert_close(tower(HISTORY[:rows], items), tower(HISTORY[:rows], table))
    added = torch.randn(rows, 3, dtype=torch.float64)
    torch.testing.assert_close(tower(HISTORY[:rows], items, added), tower(HISTORY[:rows], items) + added)
