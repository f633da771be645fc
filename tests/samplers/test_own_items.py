"""A row's own window in its batch, and own items beside a pool: what is estimated is the partition function.

Batches of nine windows of four items over 30 items; the row under test is a row of the first window, which is always
there. The other windows are independent draws, and so are items inside them.
"""

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.models.step import losses_from_scores
from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers import UserItems, exclusion_of, get_sampler, group_of_columns, shared_items, valid_columns

ITEMS, WINDOWS, LENGTH, REPEATS = 30, 9, 4, 250
LAW = torch.cat([torch.zeros(1), 1 / torch.arange(1, ITEMS + 1)]).double()
LAW /= LAW.sum()
OWN = torch.tensor([2, 7, 7, 25])  # an item twice; the row is the first
HISTORY = UserItems(torch.zeros(6, dtype=torch.int64), torch.tensor([2, 7, 25, 1, 12, 30]), 1)
GROUPS = torch.arange(WINDOWS).repeat_interleave(LENGTH)
NOT_SHARED = ("catalogue", "observed", "impression", "bir", "xir", "streaming")
SHARED = [name for name in samplers.names() if name not in NOT_SHARED]


def counts():
    """Item frequencies, and the share of windows that hold an item."""
    units = (1 - (1 - LAW) ** LENGTH) * 1e9
    units[0] = 0
    return TargetCounts((LAW * 1e9).round().long(), units.round().long(), 10**9)


def estimates(name, own, mask, loss_name="corrected_logq", groups=GROUPS, repeats=REPEATS):
    """The estimated partition function of the row over many batches, and what it is to be."""
    generator = torch.Generator().manual_seed(3)
    scores = torch.randn(ITEMS + 1, generator=generator).double()
    scores[[7, 25]] += 2.0  # what a window holds is what its user likes
    sampler = get_sampler(name)(counts(), count=None if name == "in_batch_unique" else 16, seed=1)
    loss, positive, users = get_loss(loss_name), OWN[:1], torch.zeros(1, dtype=torch.int64)
    history = exclusion_of("history", positive, users, HISTORY)
    window = shared_items(users, positive, torch.zeros(4, dtype=torch.int64), OWN)
    stratum = {"none": None, "window": window, "history": history}[own]
    excluded = history if mask == "history" else None
    own_items = [] if stratum is None else [item for item in stratum.pair_item.tolist() if item != 2]
    certain = scores[own_items].logsumexp(0, keepdim=True) if own_items else None
    values = []
    for _ in range(repeats):
        others = torch.multinomial(LAW, (WINDOWS - 1) * LENGTH, replacement=True, generator=generator)
        if name == "cross_batch":  # what it remembers are batches of others
            sampler.sample(torch.multinomial(LAW, 30, replacement=True, generator=generator))
            sampler.after_step()
        positives = torch.cat([OWN, others])
        pool = sampler.sample(positives, n_units=WINDOWS - 1)
        if pool.from_batch:
            pool.column_group = group_of_columns(pool, positives, groups)
        terms = pool.terms(positive, excluded, loss.hits, groups[:1], stratum, certain)
        value = losses_from_scores(loss, sampler, pool, scores[positive], scores[pool.ids].unsqueeze(0), terms)
        estimate = torch.expm1(value) * scores[2].exp()
        if loss_name == "logq":  # of n + 1 times it, in units of the positive as one of the draws
            n = terms.mask("logq", 0, 1, len(pool.ids)).sum()
            outside = torch.tensor([item for item in range(1, ITEMS + 1) if item not in own_items])
            law = pool.log_q_of(outside).double().exp()
            unit = law.sum() / pool.log_q_of(positive).double().exp()
            z_own = scores[own_items].exp().sum()
            estimate = (estimate * unit - (n + 1) * z_own) / n + z_own
        values.append(estimate)
    taken_out = {2, *([7, 25, 1, 12, 30] if mask == "history" else [])} - set(own_items)
    left = [item for item in range(1, ITEMS + 1) if item not in taken_out or (loss_name == "logq" and item == 2)]
    return torch.cat(values), scores[left].exp().sum()


@pytest.mark.parametrize("mask", ["target", "history"])
@pytest.mark.parametrize("own", ["none", "window", "history"])
@pytest.mark.parametrize("name", SHARED)
def test_every_source_estimates_the_partition_function_given_the_row(name, own, mask):
    if mask == own:
        return  # refused: the mask would change nothing
    values, truth = estimates(name, own, mask)
    error = values.std() / REPEATS**0.5
    assert abs(values.mean() - truth) < 4.5 * error + 0.002 * truth  # hard draws are normalised by an estimate
    assert error < 0.05 * truth


@pytest.mark.parametrize("own", ["none", "window"])
@pytest.mark.parametrize("name", ["in_batch", "mixed", "uniform"])
def test_the_textbook_form_too_with_its_positive_a_draw(name, own):
    values, truth = estimates(name, own, "target", "logq")
    assert abs(values.mean() - truth) < 4.5 * values.std() / REPEATS**0.5


def test_own_items_take_the_spread_away():
    plain, window = (estimates("in_batch", own, "target")[0] for own in ("none", "window"))
    assert window.std() < 0.6 * plain.std()


def test_seen_as_draws_the_own_window_is_counted_too_often():
    """Guards the tests above: what is wrong where windows are not known."""
    values, truth = estimates("in_batch", "none", "target", groups=torch.arange(WINDOWS * LENGTH))
    assert values.mean() > 1.2 * truth


@pytest.mark.parametrize("hits", ["masked", "kept"])
def test_columns_of_the_own_window_leave_and_copies_from_elsewhere_stay(hits):
    positives, groups = torch.tensor([5, 6, 5, 7]), torch.tensor([0, 0, 1, 1])
    values = torch.bincount(torch.tensor([5, 6, 7]), minlength=8)
    pool = get_sampler("in_batch")(TargetCounts(values), count=None, seed=0).sample(positives)
    expected = {"masked": [[0, 0, 0, 1], [0, 0, 1, 1], [0, 1, 0, 0], [1, 1, 0, 0]]}
    expected["kept"] = [[0, 0, 1, 1], [0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 0, 0]]
    assert valid_columns(pool, positives, hits, groups=groups).int().tolist() == expected[hits]
    own = shared_items(groups, positives, torch.tensor([0, 9]), torch.tensor([7, 5]))  # window 9 has no row here
    expected["masked"] = [[0, 0, 0, 0], [0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]
    expected["kept"] = [[0, 0, 1, 0], [0, 0, 0, 0], [1, 1, 0, 0], [0, 1, 0, 0]]
    assert valid_columns(pool, positives, hits, groups=groups, own=own).int().tolist() == expected[hits]


def test_a_distinct_item_leaves_where_the_own_window_alone_brought_it():
    positives, groups = torch.tensor([5, 6, 5, 7]), torch.tensor([0, 0, 1, 1])
    values = torch.bincount(torch.tensor([5, 6, 7]), minlength=8)
    pool = get_sampler("in_batch_unique")(TargetCounts(values), count=None, seed=0).sample(positives, n_units=1)
    assert group_of_columns(pool, positives, groups).tolist() == [-1, 0, 1]
    found = valid_columns(pool, positives, "masked", groups=groups)
    assert found.int().tolist() == [[0, 0, 1], [1, 0, 1], [0, 1, 0], [1, 1, 0]]
