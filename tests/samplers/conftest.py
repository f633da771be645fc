"""A small catalogue with a long tail, and samplers over it."""

import pytest
import torch

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import GradedLists, UserItems, get_sampler

N_ITEMS = 31

OPTIONS = {"catalogue": {"count": None}, "impression": {"shown": 12}}
"""Constructor options of samplers that do not take the usual ones."""


@pytest.fixture
def counts():
    """Item d has 3000 / d targets; item 30 has none."""
    value = torch.zeros(N_ITEMS, dtype=torch.int64)
    value[1:-1] = 3000 // torch.arange(1, N_ITEMS - 1)
    return TargetCounts(value)


@pytest.fixture
def build(counts):
    """Factory: sampler by name, with a pool of 12; everybody dislikes items 1 to 5, and was shown 3 and 7 to 29."""

    def make(name, seed=0, **options):
        sampler = get_sampler(name)(counts, **({"count": 12, "seed": seed} | OPTIONS.get(name, {}) | options))
        if name == "observed":
            disliked = torch.arange(1, 6)
            sampler.observe(UserItems(torch.arange(1000).repeat_interleave(5), disliked.repeat(1000), 1000))
        if name == "impression":
            whole = torch.tensor([0]), torch.tensor([24]), torch.tensor([1.0])
            sampler.observe(GradedLists(*whole, torch.tensor([3, *range(7, 30)]), torch.zeros(24)))
        return sampler

    return make


@pytest.fixture
def take():
    """A pool, with what the sampler further reads: every row is another user."""

    def make(sampler, positives, users=None):
        known = {"users": torch.arange(len(positives)) if users is None else users, "segment": None, "given_row": False}
        known["shown"] = torch.zeros_like(positives)
        return sampler.sample(positives, **{key: known[key] for key in sampler.reads})

    return make


@pytest.fixture
def draw(counts):
    """Factory: a batch of positives, drawn from the training targets."""
    generator = torch.Generator().manual_seed(77)

    def make(rows=40):
        return torch.multinomial(counts.counts.double(), rows, replacement=True, generator=generator)

    return make
