"""The mean over rows, in one process and over several."""

import pytest
import torch

from recbole_logq.losses import mean_over_rows


def test_the_mean_is_over_rows_that_count():
    values = torch.tensor([1.0, 0.0, 5.0])
    assert mean_over_rows(values).item() == 2.0
    assert mean_over_rows(values, torch.tensor([True, False, True])).item() == 3.0
    assert mean_over_rows(values, torch.zeros(3, dtype=torch.bool)).item() == 0.0
    assert mean_over_rows(torch.zeros(0)).item() == 0.0


def test_weights_weigh_the_loss():
    values, counted = torch.tensor([1.0, 0.0, 5.0], requires_grad=True), torch.tensor([True, False, True])
    mean = mean_over_rows(values, counted, torch.tensor([3.0, 100.0, 1.0]))
    assert mean.item() == 2.0
    mean.backward()
    assert values.grad.tolist() == [0.75, 0.0, 0.25]
    assert mean_over_rows(values, counted, torch.zeros(3)).item() == 0.0


RANKS = """
import sys, torch, torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel
from recbole_logq.losses import get_loss, mean_over_rows
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler, mask_function

ranks, rank = int(sys.argv[1]), int(sys.argv[2])
if ranks > 1:
    dist.init_process_group("gloo", init_method="file://" + sys.argv[3], rank=rank, world_size=ranks)

class Towers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.users, self.items = torch.nn.Embedding(50, 6).double(), torch.nn.Embedding(31, 6).double()

    def forward(self, users, positives):
        pool = sampler.sample(positives)
        valid = mask_function(pool, positives, loss.hits)
        values = loss.from_vectors(
            self.users(users), self.items(positives), self.items(pool.ids), valid=valid, **pool.terms(positives)
        )
        return mean_over_rows(values, valid(0, len(positives)).any(1))

counts = torch.arange(31) + 1
counts[0] = 0
gradients = {}
for name in ("corrected_logq", "logq"):
    sampler = get_sampler("cross_device")(TargetCounts(counts), count=17, seed=5)
    loss = get_loss(name)
    generator = torch.Generator().manual_seed(1)
    users = torch.randint(50, (40,), generator=generator)
    items = torch.randint(1, 31, (40,), generator=generator)
    items[30:] = 7
    mine = slice(0, 40) if ranks == 1 else (slice(0, 28), slice(28, 40))[rank]  # ranks of unlike size
    towers = Towers()
    model = towers if ranks == 1 else DistributedDataParallel(towers)
    value = model(users[mine], items[mine])
    value.backward()
    gradients[name] = torch.cat([towers.users.weight.grad.flatten(), towers.items.weight.grad.flatten()])
if rank == 0:
    torch.save(gradients, sys.argv[4])
"""


@pytest.mark.slow
def test_two_processes_have_the_gradient_of_one_on_the_global_batch(commands, tmp_path):
    """Pools across ranks, own columns by origin, the mean over the global rows; DistributedDataParallel averages."""

    def start(ranks, rank, target):
        words = (str(ranks), str(rank), str(tmp_path / "meeting"), str(target))
        return commands.start("-c", RANKS, *words, cwd=tmp_path)

    jobs = [start(1, 0, tmp_path / "one"), *(start(2, rank, tmp_path / "two") for rank in (0, 1))]
    for job in jobs:
        assert job.wait() == 0, job.stderr
    one, two = (torch.load(tmp_path / file, weights_only=True) for file in ("one", "two"))
    assert one.keys() == two.keys() == {"corrected_logq", "logq"}
    for name, gradient in one.items():
        assert gradient.abs().max() > 1e-3
        torch.testing.assert_close(two[name], gradient, rtol=1e-6, atol=1e-12)
