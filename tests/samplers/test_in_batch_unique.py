"""Distinct items of the batch and the probability that they are in it."""

import itertools
import math

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler, group_of_columns, target_items

USERS, LENGTH, BATCH, BATCHES = 200, 6, 15, 4000


def test_ids_are_the_distinct_ones(build):
    pool = build("in_batch_unique", count=None).sample(torch.tensor([4, 2, 4, 9, 2]))
    assert sorted(pool.ids.tolist()) == [2, 4, 9]
    assert pool.origin.tolist() == [-1, -1, -1]


def test_rows_are_the_units_by_default(build, counts):
    pool = build("in_batch_unique", count=None).sample(torch.tensor([4, 2, 4, 9, 2]))
    total = int(counts.counts.sum())
    without = [math.comb(total - int(counts.counts[item]), 5) / math.comb(total, 5) for item in pool.ids]
    torch.testing.assert_close(pool.log_q, (1 - torch.tensor(without)).log())


def test_stated_units_replace_them(build, counts):
    positives = torch.tensor([4, 2, 4, 9, 2])
    pool = build("in_batch_unique", count=None).sample(positives, n_units=2)
    torch.testing.assert_close(pool.log_q, counts.log_inclusion(2)[pool.ids])


def test_thinning_adds_the_share_that_is_kept(build):
    positives = torch.tensor([1, 2, 3, 4, 5, 5])
    whole = build("in_batch_unique", count=None).sample(positives)
    thinned = build("in_batch_unique", count=2).sample(positives)
    assert len(thinned.ids) == 2
    expected = whole.log_q_of(thinned.ids) + math.log(2 / 5)
    torch.testing.assert_close(thinned.log_q, expected)
    torch.testing.assert_close(thinned.log_q_of(positives), whole.log_q_of(positives) + math.log(2 / 5))


def test_items_in_no_unit(build, draw):
    sampler = build("in_batch_unique")
    assert sampler.sample(draw()).log_q_of(torch.tensor([30])).item() == -torch.inf
    with pytest.raises(ValueError, match="item 30, which is in no unit"):
        sampler.sample(torch.full((5,), 30))
    with pytest.raises(ValueError, match="at least one draw"):
        sampler.sample(draw(), n_units=0)


@pytest.fixture(scope="module")
def histories():
    """Users whose six targets hold a favourite item three times, int64 [users, length]; items 1 to 40."""
    generator = torch.Generator().manual_seed(8)
    law = 1 / torch.arange(1, 41).double()
    value = 1 + torch.multinomial(law, USERS * LENGTH, replacement=True, generator=generator).view(USERS, LENGTH)
    value[:, 1:3] = value[:, :1]
    return value


@pytest.mark.parametrize("count", [None, 8])
def test_stated_inclusion_is_the_frequency_of_being_in_the_pool(histories, count):
    """Batches of users, drawn without replacement; each statistic within five of its standard errors.

    A thinned pool is unbiased in the Horvitz-Thompson sense: an id that is in it counts S / m, which is what the
    stated log Q adds to log pi.
    """
    held = torch.zeros(USERS, 41).scatter_(1, histories, 1)
    counts = TargetCounts(
        torch.bincount(histories.flatten(), minlength=41), unit_counts=held.sum(0).long(), n_units=USERS
    )
    sampler = get_sampler("in_batch_unique")(counts, count=count, seed=1)
    generator = torch.Generator().manual_seed(9)
    pi = counts.log_inclusion(BATCH).exp()
    sums, squares = torch.zeros(41), torch.zeros(41)
    for _ in range(BATCHES):
        users = torch.randperm(USERS, generator=generator)[:BATCH]
        pool = sampler.sample(histories[users].flatten(), n_units=BATCH)
        weight = pi[pool.ids] / pool.log_q.exp()
        sums[pool.ids] += weight
        squares[pool.ids] += weight**2
    mean = sums / BATCHES
    # An item that is in nearly every batch has no variance to speak of; the floor is one batch in a thousand.
    error = ((squares / BATCHES - mean**2).clamp(min=1e-3) / BATCHES).sqrt()
    assert ((mean - pi) / error)[1:].abs().max() < 5
    # Positions taken for independent draws would overstate how often items are there.
    by_rows = TargetCounts(counts.counts).log_inclusion(BATCH * LENGTH).exp()
    assert ((mean - by_rows) / error)[1:].min() < -10


UNITS = [[1, 2, 7], [1, 3, 1], [2, 2, 4], [1, 5, 6], [3, 4, 4], [6, 1, 2]]


@pytest.mark.parametrize("batch", [2, 3, 4])
def test_given_a_row_it_is_exact_over_every_batch_that_holds_its_window(batch):
    """The partition function of a row of the first window, over all batches of an epoch of six."""
    units = torch.tensor(UNITS)
    held = torch.zeros(6, 8, dtype=torch.int64).scatter_(1, units, 1)
    counts = TargetCounts(torch.bincount(units.flatten(), minlength=8), held.sum(0), 6)
    sampler = get_sampler("in_batch_unique")(counts, count=None, seed=0)
    scores = torch.randn(8, generator=torch.Generator().manual_seed(2)).double()
    found, naive, batches = 0.0, 0.0, list(itertools.combinations(range(1, 6), batch - 1))
    for others in batches:
        positives = units[[0, *others]].flatten()
        windows = torch.arange(batch).repeat_interleave(3)
        pool = sampler.sample(positives, n_units=batch - 1, given_row=True)
        pool.column_group = group_of_columns(pool, positives, windows)
        for known in (True, False):
            pool.held = target_items(windows, positives, batch, 8) if known else None
            terms = pool.terms(positives, None, "masked", windows)
            value = get_loss("corrected_logq")(scores[positives], scores[pool.ids].expand(len(positives), -1), terms)[0]
            estimate = torch.expm1(value).item() * scores[1].exp().item() / len(batches)
            found, naive = (found + estimate, naive) if known else (found, naive + estimate)
    truth = scores[[2, 3, 4, 5, 6]].exp().sum().item()  # 7 is in no other window, 1 is the positive
    assert found == pytest.approx(truth, rel=1e-6)
    assert abs(naive / truth - 1) > 1e-3


def test_a_checkpoint_of_before_opens(build):
    sampler = build("in_batch_unique")
    sampler.load_state_dict({**sampler.state_dict(), "log_unit_frequency": torch.zeros(31)})
