"""In one process, the global batch is the batch; several processes are in tests/losses/test_reduction.py."""

import torch

from recbole_logq.samplers import get_sampler


def test_one_process_is_in_batch(counts, draw):
    ours, plain = (get_sampler(name)(counts, count=12, seed=3) for name in ("cross_device", "in_batch"))
    batch = draw()
    one, two = ours.sample(batch), plain.sample(batch)
    assert torch.equal(one.ids, two.ids)
    assert torch.equal(one.origin, two.origin)
    assert torch.equal(one.log_q, two.log_q)
