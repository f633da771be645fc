"""A law that is a table, and what each item leaves."""

import torch

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler
from recbole_logq.samplers.table_law import TableLaw

Q = torch.tensor([0.0, 0.5, 1e-9, 1 - 2.0**-20, 1.0], dtype=torch.float64)


def test_what_an_item_leaves_keeps_its_precision() -> None:
    law, ids = TableLaw(Q.log().float()), torch.tensor([[0, 1], [2, 3]])
    torch.testing.assert_close(law(ids).exp().double(), Q[ids], rtol=1e-6, atol=0)
    expected = torch.log1p(-law(ids).double().exp())
    torch.testing.assert_close(law.rest(ids).double(), expected, rtol=1e-6, atol=0)
    assert law.rest(torch.tensor([4])).item() == -torch.inf


def test_a_mixture_of_another_share_is_another_law() -> None:
    counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))
    sampler = get_sampler("mixed")(counts, count=4, seed=0)
    every = torch.arange(1, 5)
    for positives, taken in ((torch.tensor([1, 2, 1]), 2), (torch.tensor([1]), 1), (torch.tensor([1, 2, 1]), 2)):
        share = taken / (taken + 2)
        expected = share * counts.counts[every] / 10 + (1 - share) / 4
        pool = sampler.sample(positives)
        torch.testing.assert_close(pool.log_q_of(every).exp(), expected)
        torch.testing.assert_close(pool.terms(every).log_rest, torch.log1p(-expected))
