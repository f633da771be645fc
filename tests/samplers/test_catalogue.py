"""The pool that is the catalogue."""

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.samplers import get_sampler


def test_every_item_once_and_padding_never(build, draw):
    pool = build("catalogue").sample(draw())
    assert pool.ids.tolist() == list(range(1, 31))
    assert (pool.origin == -1).all()


def test_with_the_full_softmax_it_is_the_cross_entropy(build, draw):
    positives, vectors, query = draw(), torch.randn(31, 4), torch.randn(40, 4)
    pool = build("catalogue").sample(positives)
    value = get_loss("full_softmax").from_vectors(query, vectors[positives], vectors[pool.ids], **pool.terms(positives))
    expected = torch.nn.functional.cross_entropy(query @ vectors[1:].T, positives - 1, reduction="none")
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


def test_a_count_is_refused(counts):
    with pytest.raises(ValueError, match="count must be None, got 5"):
        get_sampler("catalogue")(counts, count=5, seed=0)


def test_nothing_of_it_is_in_the_checkpoint_but_the_generator(build):
    assert set(build("catalogue").state_dict()) == {"_extra_state"}
