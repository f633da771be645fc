"""Frequencies inside segments."""

import math

import pytest
import torch

from recbole_logq.probability import SegmentFrequency, TargetCounts
from recbole_logq.samplers import get_sampler

SEGMENTS, ITEMS = torch.tensor([1, 1, 1, 3, 3, 1]), torch.tensor([5, 5, 2, 5, 7, 6])


def test_shares_by_hand():
    table = SegmentFrequency(SEGMENTS, ITEMS, 10)
    assert table.log_share_of(torch.tensor([5, 2, 7]), 1).exp().tolist() == pytest.approx([0.5, 0.25, 0.0])
    assert table.log_share_of(torch.tensor([[5, 7], [2, 9]]), 3).exp().tolist() == [[0.5, 0.5], [0.0, 0.0]]
    assert table.log_share_of(torch.tensor([5]), 2).tolist() == [-math.inf]
    assert table.log_share_of(torch.tensor([9]), 10**9).tolist() == [-math.inf]


@pytest.mark.parametrize("name", ["in_batch", "mixed"])
def test_a_batch_of_one_segment_has_that_segments_law(name):
    counts = TargetCounts(torch.bincount(ITEMS, minlength=10), segments=SegmentFrequency(SEGMENTS, ITEMS, 10))
    sampler = get_sampler(name)(counts, count=4, seed=0)
    pool = sampler.sample(torch.tensor([5, 2, 5, 6]), segment=1)
    share = torch.zeros(10).index_add_(0, ITEMS[SEGMENTS == 1], torch.full((4,), 0.25))
    expected = share[pool.ids] if name == "in_batch" else (share[pool.ids] + 1 / 9) / 2
    torch.testing.assert_close(pool.log_q.exp(), expected)
    torch.testing.assert_close(
        pool.log_q_of(torch.tensor([5])).exp(),
        (torch.tensor([0.5]) + (1 / 9) * (name == "mixed")) / (1 + (name == "mixed")),
    )


def test_a_segment_without_counts_by_segment_is_refused():
    sampler = get_sampler("in_batch")(TargetCounts(torch.bincount(ITEMS, minlength=10)), count=4, seed=0)
    with pytest.raises(ValueError, match="without segments"):
        sampler.sample(ITEMS, segment=1)


def test_what_does_not_fit_is_refused():
    with pytest.raises(ValueError, match="int64"):
        SegmentFrequency(SEGMENTS, ITEMS[:2], 10)
