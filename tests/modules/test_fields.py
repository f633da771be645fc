"""Fields against loops over their values."""

from __future__ import annotations

import pytest
import torch

from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.fields import Column, EntityFields, NumberField, TokenField

# Row 0 is padding, row 4 is never trained on, and has a token that no other row has.
SEEN = torch.tensor([False, True, True, True, False])
TOKEN = Column(torch.tensor([0, 1, 2, 0, 3]), 4)
TOKENS = Column(torch.tensor([[0, 0, 0], [1, 2, 0], [2, 2, 1], [0, 0, 0], [3, 1, 0]]), 4)
NUMBER = Column(torch.tensor([0.0, 1990.0, 1992.0, 1994.0, 2050.0]))
NUMBERS = Column(torch.tensor([[0.0, 0.0], [1.0, -1.0], [3.0, -1.0], [0.0, 0.0], [5.0, 9.0]]))
ALL = [TOKEN, TOKENS, NUMBER, NUMBERS]


def fields(columns: list[Column] | None = None, sparse: bool = False) -> EntityFields:
    torch.manual_seed(0)
    return EntityFields.learned(columns or ALL, SEEN, 3, 0.5, lambda _: sparse).double()


def test_a_sequence_is_the_mean_of_what_training_knows_of_it() -> None:
    field = TokenField.learned(TOKENS, SEEN, 3, 0.5, sparse=False)
    table = field.embedding.weight
    found = field(field.prepare(TOKENS.values))
    zero = torch.zeros(3)
    # Token 3 is on an unseen row alone: it counts as none, not as a vector that nothing has trained.
    expected = [zero, (table[1] + table[2]) / 2, (2 * table[2] + table[1]) / 3, zero, table[1]]
    torch.testing.assert_close(found, torch.stack(expected))
    one = TokenField.learned(TOKEN, SEEN, 3, 0.5, sparse=False)
    assert not one(one.prepare(TOKEN.values))[[0, 3, 4]].any()


def test_numbers_are_standardised_over_what_training_sees() -> None:
    field = NumberField.learned(NUMBER, SEEN, 3, 0.5)
    scale = (8 / 3) ** 0.5
    assert [field.mean.item(), field.scale.item()] == pytest.approx([1992, scale])
    prepared = field.prepare(NUMBER.values)
    torch.testing.assert_close(prepared[1:, 0], torch.tensor([-2.0, 0.0, 2.0, 58.0]) / scale)
    expected = prepared * field.linear.weight.T + field.linear.bias
    torch.testing.assert_close(field(prepared), expected)


def test_several_numbers_that_are_missing_are_the_mean_and_constant_ones_say_nothing() -> None:
    field = NumberField.learned(NUMBERS, SEEN, 3, 0.5)
    torch.testing.assert_close(field.mean, torch.tensor([2.0, -1.0]))
    torch.testing.assert_close(field.scale, torch.ones(2))
    prepared = field.prepare(NUMBERS.values)
    assert prepared.dtype == torch.float16
    assert prepared.tolist() == [[0, 0], [-1, 0], [1, 0], [0, 0], [3, 10]]


def test_nothing_that_training_sees_has_a_number() -> None:
    field = NumberField.learned(Column(torch.zeros(5, 2)), SEEN, 3, 0.5)
    assert torch.isfinite(field(field.prepare(torch.tensor([[0.0, 0.0], [1.0, 2.0]])))).all()


@pytest.mark.parametrize("use_id", [True, False])
def test_an_entity_is_the_sum_and_an_unseen_one_its_fields_alone(use_id: bool) -> None:
    known = fields()
    embedding = FeatureEmbedding(known, 3, 0.5, use_id=use_id).double()
    expected = known.of(torch.arange(5))
    of_values = known([column.values for column in ALL])
    torch.testing.assert_close(expected[1:], of_values[1:])
    # Row 0 is nobody: no token, and numbers that are the mean.
    biases = [field.linear.bias for field in known.fields if isinstance(field, NumberField)]
    torch.testing.assert_close(expected[0], sum(biases, torch.zeros(3, dtype=torch.float64)))
    if embedding.ids is not None:
        expected = expected + embedding.ids.weight * SEEN.unsqueeze(1)
    torch.testing.assert_close(embedding(torch.arange(5)), expected)


@pytest.mark.parametrize("sparse", [True, False])
def test_few_ids_and_many_have_the_same_vectors_and_gradients(sparse: bool) -> None:
    """More ids than entities are looked up in the vectors of all of them."""
    ids = torch.tensor([[3, 1, 1], [4, 2, 0]])
    found = []
    for one_by_one in (True, False):
        embedding = FeatureEmbedding(fields(sparse=sparse), 3, 0.5, sparse=sparse).double()
        rows = [embedding(row) for row in ids.flatten().split(1)] if one_by_one else [embedding(ids).flatten(0, 1)]
        vectors = torch.cat(rows)
        (vectors * torch.arange(18.0).view(6, 3)).sum().backward()
        assert embedding.ids is not None
        assert embedding.ids.weight.grad is not None
        assert embedding.ids.weight.grad.is_sparse == sparse
        grads = [parameter.grad.to_dense() for parameter in embedding.parameters() if parameter.grad is not None]
        found.append((vectors, *grads))
        assert not embedding.ids.weight.grad.to_dense()[[0, 4]].any()  # an unseen id learns nothing
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_id_dropout_leaves_ids_out_in_training_alone() -> None:
    embedding = FeatureEmbedding(fields(), 3, 0.5, id_dropout=0.25).double()
    ids = torch.full((4000,), 2)
    alone, whole = embedding.fields.of(ids[:1]), embedding.eval()(ids[:1])
    assert not torch.allclose(alone, whole)
    torch.testing.assert_close(embedding(ids), whole.expand(4000, 3))
    embedding.train()
    found = torch.cat([embedding(ids[:1]) for _ in range(2000)])
    without = (found - alone).abs().amax(1) < 1e-12
    assert 0.2 < without.double().mean() < 0.3
    torch.testing.assert_close(found[~without], whole.expand_as(found[~without]))


def test_values_are_kept_with_the_weights() -> None:
    """A checkpoint has everything that vectors are made of."""
    one, other = FeatureEmbedding(fields(), 3, 0.5).double(), None
    columns = [Column(torch.zeros_like(column.values), column.n_tokens) for column in ALL]
    other = FeatureEmbedding(fields(columns), 3, 0.5).double()
    other.load_state_dict(one.state_dict())
    torch.testing.assert_close(other(torch.arange(5)), one(torch.arange(5)))
