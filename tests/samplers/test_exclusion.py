"""Sets of items that are never negatives, and the mass they take out of a law."""

import math

import pytest
import torch

from recbole_logq.losses import get_loss
from recbole_logq.samplers import Pool, UserItems, exclusion_of, get_sampler, valid_columns

# Rows of users 4, 7, 4, 9 with these positives; the histories are of training.
POSITIVES, USERS = torch.tensor([5, 7, 6, 9]), torch.tensor([4, 7, 4, 9])
HISTORY = UserItems(torch.tensor([4, 4, 4, 7, 9, 4]), torch.tensor([5, 6, 1, 7, 9, 5]), 10)
POOL = torch.tensor([5, 6, 1, 9, 7, 5, 2])


def excluded(mask):
    return exclusion_of(mask, POSITIVES, USERS, HISTORY)


def test_user_items_are_distinct_and_by_user():
    owner, items = HISTORY.of(torch.tensor([9, 4, 0]))
    assert owner.tolist() == [0, 1, 1, 1]
    assert items.tolist() == [9, 1, 5, 6]
    assert HISTORY.sizes(torch.tensor([4, 5])).tolist() == [3, 0]


def test_items_are_drawn_of_the_own_user():
    uniform = torch.rand(3, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    drawn = HISTORY.draw(torch.tensor([4, 5, 7]), uniform)
    assert (torch.bincount(drawn[0], minlength=10)[[1, 5, 6]] / 4000).tolist() == pytest.approx([1 / 3] * 3, abs=0.04)
    assert not drawn[1].any()
    assert (drawn[2] == 7).all()
    assert UserItems(USERS[:0], USERS[:0], 3).draw(torch.tensor([1]), uniform[:1, :2]).tolist() == [[0, 0]]


def test_target_needs_no_sets():
    assert excluded("target") is None


def test_query_masks_the_positives_of_the_same_user_in_the_batch():
    columns = [[0, 0, 1, 1, 1, 0, 1], [1, 1, 1, 1, 0, 1, 1], [0, 0, 1, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1]]
    assert mask(excluded("query")) == columns


def test_history_masks_all_training_items_of_the_user():
    columns = [[0, 0, 0, 1, 1, 0, 1], [1, 1, 1, 1, 0, 1, 1], [0, 0, 0, 1, 1, 0, 1], [1, 1, 1, 0, 1, 1, 1]]
    assert mask(excluded("history")) == columns


def test_a_positive_that_the_history_does_not_know_is_masked_all_the_same():
    ask = exclusion_of("history", torch.tensor([2]), torch.tensor([7]), HISTORY)
    pool = Pool(POOL, "draws", torch.full_like(POOL, -1), torch.zeros(7), torch.zeros_like)
    assert valid_columns(pool, torch.tensor([2]), "masked", exclusion=ask).int().tolist() == [[1, 1, 1, 1, 0, 1, 0]]


def mask(sets):
    pool = Pool(POOL, "draws", torch.full_like(POOL, -1), torch.zeros(7), torch.zeros_like)
    whole = valid_columns(pool, POSITIVES, "masked", exclusion=sets)
    parts = [valid_columns(pool, POSITIVES, "masked", a, b, exclusion=sets) for a, b in ((0, 1), (1, 3), (3, None))]
    assert torch.equal(torch.cat(parts), whole)
    per_row = Pool(POOL.expand(4, 7), "observed", torch.full((4, 7), -1))
    assert torch.equal(valid_columns(per_row, POSITIVES, "masked", exclusion=sets), whole)
    return whole.int().tolist()


def test_a_catalogue_keeps_the_rows_own_positive():
    pool = Pool(torch.arange(1, 10), "catalogue", torch.full((9,), -1))
    whole = valid_columns(pool, POSITIVES, "catalogue", exclusion=excluded("history"))
    assert [(~row).nonzero().flatten().add(1).tolist() for row in whole] == [[1, 6], [], [1, 5], []]


def test_the_mass_is_summed_over_distinct_items():
    law = torch.tensor([0.0, 0.1, 0.2, 0.0, 0.0, 0.3, 0.15, 0.05, 0.1, 0.1]).log()
    mass = excluded("history").log_mass(lambda ids: law[ids]).exp()
    assert mass.tolist() == pytest.approx([0.1 + 0.3 + 0.15, 0.05, 0.55, 0.1], rel=1e-6)
    mass = excluded("query").log_mass(lambda ids: law[ids]).exp()
    assert mass.tolist() == pytest.approx([0.45, 0.05, 0.45, 0.1], rel=1e-6)
    nothing = excluded("query").log_mass(lambda ids: torch.full(ids.shape, -torch.inf))
    assert nothing.tolist() == [-math.inf] * 4


@pytest.mark.parametrize("options", [{}, {"law": "per_part"}])
def test_terms_carry_the_mass(counts, options):
    sampler = get_sampler("mixed")(counts, count=6, seed=0, **options)
    pool = sampler.sample(POSITIVES)
    terms = pool.terms(POSITIVES, excluded("history"))
    sets = [[1, 5, 6], [7], [1, 5, 6], [9]]
    p = counts.counts.double() / counts.counts.sum()
    batch, uniform = (torch.stack([value[ids].sum() for ids in sets]) for value in (p, torch.full_like(p, 1 / 30)))
    if options:
        expected = torch.where(pool.origin >= 0, batch.unsqueeze(1), uniform.unsqueeze(1))
    else:
        expected = (batch + uniform) / 2
    torch.testing.assert_close(terms["excluded_log_q"].double().exp(), expected, rtol=1e-5, atol=0)


def test_the_renormalised_law_estimates_the_softmax_without_what_is_excluded():
    """e^loss - 1 is unbiased for the sum over the items that are left, whatever n: enumerated over all draws of one."""
    scores = torch.tensor([0.0, 1.0, -0.5, 2.0, 0.3, 1.2], dtype=torch.float64)
    q = torch.tensor([0.0, 0.3, 0.1, 0.25, 0.15, 0.2], dtype=torch.float64)
    sets = exclusion_of("history", torch.tensor([3]), torch.tensor([0]), UserItems(*torch.tensor([[0, 0], [3, 1]]), 1))
    left = torch.tensor([2, 4, 5])
    pool = Pool(left, "draws", torch.full((3,), -1), q.log()[left].float(), lambda ids: q.log()[ids].float())
    terms = pool.terms(torch.tensor([3]), sets)
    values = [
        get_loss("corrected_logq")(
            scores[3:4],
            scores[left[i : i + 1]].unsqueeze(0),
            **{**terms, "negative_log_q": terms["negative_log_q"][i : i + 1]},
        )
        for i in range(3)
    ]
    odds = sum(q[item] / q[left].sum() * math.expm1(value) for item, value in zip(left, values, strict=True))
    assert odds.item() == pytest.approx((scores[left].exp().sum() / scores[3].exp()).item(), rel=1e-6)


def test_ids_above_2_to_24_are_told_apart():
    """As float32, 2^24 + 1 is 2^24."""
    big = 2**24
    positives, users = torch.tensor([big, big + 2]), torch.tensor([0, 0])
    sets = exclusion_of("query", positives, users)
    assert sets.columns(torch.tensor([big + 1, big, big + 2])).tolist() == [[False, True, True]]
    assert sets.holds(torch.tensor([[big, big + 1], [big + 3, big + 2]])).tolist() == [[True, False], [False, True]]
    _, items = UserItems(users, positives, 1).of(torch.tensor([0]))
    assert items.tolist() == [big, big + 2]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("everything", POSITIVES, USERS, HISTORY), "unknown mask"),
        (("query", POSITIVES), "needs the rows' users"),
        (("history", POSITIVES, USERS), "and their history"),
    ],
)
def test_what_is_missing_is_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        exclusion_of(*arguments)


def test_kept_hits_and_an_exclusion_contradict_each_other():
    pool = Pool(POOL, "draws", torch.full_like(POOL, -1), torch.zeros(7), torch.zeros_like)
    with pytest.raises(ValueError, match="excludes nothing"):
        valid_columns(pool, POSITIVES, "kept", exclusion=excluded("query"))


def test_pairs_that_do_not_fit_are_refused():
    with pytest.raises(ValueError, match="int64"):
        UserItems(USERS, POSITIVES[:2], 10)
