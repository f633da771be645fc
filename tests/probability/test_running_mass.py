"""The running mean of probabilities, told of a few items a step."""

import pytest
import torch

from recbole_logq.probability.running_mass import SMALLEST, RunningMass

START = torch.tensor([0.0, 0.4, 0.3, 0.2, 0.1])


def test_every_item_fades_and_those_told_of_gain():
    mean, expected = RunningMass(START, rate=0.25), START.double()
    for ids, told in [([1, 3], [0.5, 2.0]), ([4], [0.1]), ([], []), ([3, 2], [1.0, 0.0])] * 30:  # past SMALLEST
        estimate = torch.zeros(5).double()
        estimate[ids] = torch.tensor(told).double()
        expected = 0.75 * expected + 0.25 * estimate
        mean.add([(torch.tensor(ids, dtype=torch.int64), torch.tensor(told))])
        assert SMALLEST <= mean.factor <= 1
    torch.testing.assert_close(mean.value().double(), expected, rtol=1e-5, atol=0)
    assert mean.factor == 1


def test_parts_of_a_step_add_up_and_what_is_no_number_counts_for_nothing():
    one, two = RunningMass(START, rate=0.5), RunningMass(START, rate=0.5)
    one.add([(torch.tensor([1, 2]), torch.tensor([0.3, torch.inf])), (torch.tensor([2, 3]), torch.tensor([0.1, -1.0]))])
    two.add([(torch.tensor([1, 2]), torch.tensor([0.3, 0.1]))])
    torch.testing.assert_close(one.value(), two.value())


def test_a_checkpoint_continues_between_two_steps():
    first, second = RunningMass(START, rate=0.3), RunningMass(torch.ones(5), rate=0.3)
    told = [(torch.tensor([2]), torch.tensor([0.7]))]
    first.add(told)
    second.load_state_dict(first.state_dict())
    for mean in (first, second):
        mean.add(told)
    assert torch.equal(first.mass, second.mass)
    assert torch.equal(first.value(), second.value())


def test_what_is_out_of_range():
    for rate in (0.0, 1.0):
        with pytest.raises(ValueError, match="between 0 and 1"):
            RunningMass(START, rate=rate)
    with pytest.raises(ValueError, match="no factor"):
        RunningMass(START, rate=0.5).set_extra_state({"factor": 2.0})
