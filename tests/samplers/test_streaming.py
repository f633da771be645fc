"""Streaming frequencies in a sampler: learned from applied steps only, close to the counted ones in the end."""

import pytest
import torch

from recbole_logq.samplers import get_sampler


def test_it_comes_close_to_the_counted_inclusion(counts, draw):
    streaming = get_sampler("streaming")(counts, count=None, seed=0, rate=0.01)
    counted = get_sampler("in_batch_unique")(counts, count=None, seed=0)
    for _ in range(3000):
        streaming.sample(draw())
        streaming.after_step()
    popular = torch.arange(1, 20)
    positives = draw()
    torch.testing.assert_close(
        streaming.sample(positives).log_q_of(popular).exp(),
        counted.sample(positives).log_q_of(popular).exp(),
        rtol=0.3,
        atol=0,
    )


def test_only_applied_steps_count(counts, draw):
    sampler = get_sampler("streaming")(counts, count=None, seed=0)
    sampler.sample(draw())
    sampler.after_step()
    before = sampler.gaps.gap.clone(), int(sampler.gaps.step)
    sampler.sample(draw())
    assert torch.equal(sampler.gaps.gap, before[0])
    assert int(sampler.gaps.step) == before[1]
    sampler.after_step()
    assert int(sampler.gaps.step) == before[1] + 1
    sampler.after_step()  # nothing was sampled since
    assert int(sampler.gaps.step) == before[1] + 1


def test_hashes_need_a_size(counts):
    with pytest.raises(ValueError, match="hashes needs buckets"):
        get_sampler("streaming")(counts, count=4, seed=0, hashes=2)
