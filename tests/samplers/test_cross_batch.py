"""Cross-batch memory: what is in the queue, when it is used, and that it survives a checkpoint."""

import pytest
import torch

from recbole_logq.samplers import get_sampler


def ids(*values):
    return torch.tensor(values, dtype=torch.int64)


def test_the_queue_is_first_in_first_out_and_enters_after_the_step(counts):
    sampler = get_sampler("cross_batch")(counts, count=None, seed=0, memory=5)
    assert sampler.sample(ids(1, 2)).ids.tolist() == [1, 2]
    assert sampler.sample(ids(3, 4)).ids.tolist() == [3, 4]  # no step was applied in between
    sampler.after_step()
    second = sampler.sample(ids(5, 6))
    assert second.ids.tolist() == [5, 6, 3, 4]
    assert second.origin.tolist() == [0, 1, -1, -1]
    sampler.after_step()
    assert sampler.sample(ids(7, 8)).ids.tolist() == [7, 8, 5, 6, 3, 4]
    sampler.after_step()
    assert sampler.sample(ids(9)).ids.tolist() == [9, 7, 8, 5, 6, 3]  # five, the oldest is gone


def test_a_batch_larger_than_the_memory(counts):
    sampler = get_sampler("cross_batch")(counts, count=None, seed=0, memory=2)
    sampler.sample(ids(1, 2, 3))
    sampler.after_step()
    assert sampler.sample(ids(4)).ids.tolist() == [4, 1, 2]


def test_warm_up_counts_applied_steps_and_fills_the_queue(counts):
    sampler = get_sampler("cross_batch")(counts, count=None, seed=0, memory=9, warmup_steps=2)
    for batch in (ids(1), ids(2)):
        assert len(sampler.sample(batch).ids) == 1
        sampler.sample(batch)
        sampler.after_step()
    assert sampler.sample(ids(3)).ids.tolist() == [3, 2, 1]


def test_every_column_follows_the_frequency_of_targets(counts, draw):
    sampler = get_sampler("cross_batch")(counts, count=8, seed=0, memory=16)
    for _ in range(3):
        pool = sampler.sample(draw())
        sampler.after_step()
    p = counts.counts.double() / counts.counts.sum()
    assert len(pool.ids) == 8 + 16
    torch.testing.assert_close(pool.log_q.double().exp(), p[pool.ids], rtol=1e-5, atol=0)


def test_the_memory_is_in_the_checkpoint(counts, draw):
    first = get_sampler("cross_batch")(counts, count=8, seed=0, memory=16)
    for _ in range(3):
        first.sample(draw())
        first.after_step()
    second = get_sampler("cross_batch")(counts, count=8, seed=5, memory=16)
    second.load_state_dict(first.state_dict())
    batch = draw()
    assert torch.equal(first.sample(batch).ids, second.sample(batch).ids)


def test_vectors_stand_beside_their_ids(counts):
    sampler = get_sampler("cross_batch")(counts, count=None, seed=0, memory=3, momentum=0.5)
    sampler.hold_vectors(2)
    assert sampler.sample(ids(1, 2)).stored.shape == (0, 2)
    assert sampler.entering.tolist() == [1, 2]
    with pytest.raises(ValueError, match="call take_vectors before after_step"):
        sampler.after_step()
    sampler.take_vectors(torch.tensor([[1.0, 1.0], [2.0, 2.0]]))
    sampler.after_step()
    sampler.sample(ids(3, 4))
    sampler.take_vectors(torch.tensor([[3.0, 3.0], [4.0, 4.0]], requires_grad=True))
    sampler.after_step()
    pool = sampler.sample(ids(5))
    assert pool.ids.tolist() == [5, 3, 4, 1]
    assert pool.stored.tolist() == [[3, 3], [4, 4], [1, 1]]
    assert not pool.stored.requires_grad
    resumed = get_sampler("cross_batch")(counts, count=None, seed=0, memory=3, momentum=0.5)
    resumed.hold_vectors(2)
    resumed.load_state_dict(sampler.state_dict())
    assert torch.equal(resumed.sample(ids(5)).stored, pool.stored)


@pytest.mark.parametrize("options", [{"memory": 0}, {"warmup_steps": -1}, {"momentum": 1.0}, {"momentum": True}])
def test_impossible_options(counts, options):
    with pytest.raises(ValueError, match="sampler 'cross_batch'"):
        get_sampler("cross_batch")(counts, count=4, seed=0, **options)
