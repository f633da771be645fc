"""Counts of training targets."""

import pytest
import torch

from recbole_logq.probability import TargetCounts

COUNTS = torch.tensor([0, 6, 0, 3, 1])


def test_defaults_treat_an_interaction_as_a_unit():
    counts = TargetCounts(COUNTS)
    assert counts.n_items == 5
    assert counts.n_units == 10
    assert counts.unit_counts.tolist() == COUNTS.tolist()


def test_log_frequency_is_the_share_of_targets():
    value = TargetCounts(COUNTS, unit_counts=torch.tensor([0, 2, 0, 2, 1]), n_units=4).log_frequency()
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.exp(), torch.tensor([0.0, 0.6, 0.0, 0.3, 0.1]))
    assert value[2] == -torch.inf


def test_log_inclusion_counts_units_not_targets():
    """Item 1 is six targets, but all in two of four windows."""
    counts = TargetCounts(COUNTS, unit_counts=torch.tensor([0, 2, 0, 3, 4]), n_units=4)
    value = counts.log_inclusion(3)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value.exp(), torch.tensor([0.0, 1.0, 0.0, 1.0, 1.0]))  # two are without item 1
    torch.testing.assert_close(counts.log_inclusion(1).exp(), torch.tensor([0.0, 0.5, 0.0, 0.75, 1.0]))
    torch.testing.assert_close(counts.log_unit_frequency().exp(), torch.tensor([0.0, 0.5, 0.0, 0.75, 1.0]))


def test_counts_stay_exact_beyond_float32():
    counts = TargetCounts(torch.tensor([0, 2**24 + 1, 2**24 + 1]))
    assert counts.n_units == 2**25 + 2


def test_it_is_immutable():
    with pytest.raises(AttributeError):
        TargetCounts(COUNTS).n_units = 3


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"counts": torch.tensor([2, 3])}, "padding"),
        ({"counts": torch.tensor([0, -1])}, "negative"),
        ({"counts": torch.tensor([0, 0])}, "zero everywhere"),
        ({"counts": torch.tensor([0.0, 1.0])}, "int64"),
        ({"counts": torch.tensor([[0, 1]])}, "int64"),
        ({"counts": COUNTS, "unit_counts": torch.tensor([1, 1, 1, 1, 1])}, "padding"),
        ({"counts": COUNTS, "unit_counts": torch.tensor([0, 1])}, "2 items"),
        ({"counts": COUNTS, "n_units": 5}, "n_units is 5"),
    ],
)
def test_impossible_counts_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        TargetCounts(**arguments)
