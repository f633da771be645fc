"""Pools of impressions: what each row's own holds, how long ones are thinned, and what is sampled beside them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import GradedLists, get_sampler

# Item 0 is padding; 14 training targets.
COUNTS = TargetCounts(torch.tensor([0, 7, 4, 2, 1, 0, 0, 0, 0]))
# Two impressions: items 5, 6, 3 with grades 0, 0, 1, and 8 and 4 with grades 0 and 0.5. Lists: below 2 and below 1 in
# the first, below 1 in the second, and nothing.
LISTS = {
    "start": torch.tensor([0, 0, 3, 0]),
    "size": torch.tensor([3, 2, 2, 0]),
    "grade": torch.tensor([2.0, 1.0, 1.0, 2.0]),
    "items": torch.tensor([5, 6, 3, 8, 4]),
    "grades": torch.tensor([0.0, 0.0, 1.0, 0.0, 0.5]),
}
POSITIVES, SHOWN = torch.tensor([1, 3, 2, 1]), torch.tensor([0, 1, 2, 3])


def build(**options: Any) -> Any:
    sampler = get_sampler("impression")(COUNTS, **({"count": 3, "seed": 4, "shown": 3} | options))
    sampler.observe(GradedLists(**LISTS))
    return sampler


def test_a_row_has_the_lower_graded_items_of_its_own_impression() -> None:
    pool = build().sample(POSITIVES, shown=SHOWN)
    assert pool.ids.tolist() == [[5, 6, 3], [5, 6, 0], [8, 4, 0], [0, 0, 0]]
    # All of them are there, so none of them is a draw.
    assert pool.log_q.tolist() == [[0.0] * 3] * 4
    terms = pool.terms(POSITIVES, hits="masked")
    assert terms.valid(0, 4).tolist() == [[True, True, True], [True, True, False], [True, True, False], [False] * 3]
    assert terms.log_n == 0.0
    assert terms.excluded_log_q.tolist() == [-math.inf] * 4


def test_a_long_impression_is_thinned_evenly_and_q_says_so() -> None:
    lists = GradedLists(*(torch.tensor([value]) for value in (1, 7)), torch.ones(1), torch.arange(9), torch.zeros(9))
    n, rows = 3, 70_000
    generator = torch.Generator().manual_seed(0)
    uniform = torch.rand(rows, generator=generator, dtype=torch.float64)
    ids, _, log_share = lists.draw(torch.zeros(rows, dtype=torch.int64), n, uniform)
    assert (ids.sort(1).values.diff(dim=1) > 0).all()  # no item twice
    assert log_share.tolist() == pytest.approx([math.log(3 / 7)] * rows, abs=1e-6)
    counts = torch.bincount(ids.flatten(), minlength=9)
    assert counts[[0, 8]].tolist() == [0, 0]  # of other lists
    # Each of the seven is there in 3/7 of the rows: five standard deviations.
    expected, spread = rows * 3 / 7, math.sqrt(rows * 3 / 7 * 4 / 7)
    assert ((counts[1:8] - expected).abs() < 5 * spread).all()


def test_a_pool_is_no_wider_than_the_longest_list() -> None:
    """A hundred thousand columns of padding a row would be memory and time for nothing."""
    wide, exact = (build(shown=shown).sample(POSITIVES, shown=SHOWN) for shown in (100_000, 3))
    assert wide.ids.tolist() == exact.ids.tolist() == [[5, 6, 3], [5, 6, 0], [8, 4, 0], [0, 0, 0]]
    assert GradedLists.empty().longest == 1


def test_what_is_sampled_beside_has_its_own_law_and_share() -> None:
    pool = build(beside="in_batch", sampled_share=0.3).sample(POSITIVES, shown=SHOWN)
    sampled, share = pool.beside
    assert share == 0.3
    assert sampled.kind == "draws"
    assert torch.equal(sampled.ids, POSITIVES[sampled.origin])
    frequency = {1: 7 / 14, 2: 4 / 14, 3: 2 / 14}
    assert sampled.log_q.exp().tolist() == pytest.approx([frequency[item] for item in sampled.ids.tolist()])
    uniform = build().sample(POSITIVES, shown=SHOWN).beside.pool
    assert uniform.log_q.exp().tolist() == pytest.approx([1 / 8] * 3)
    mixed = build(beside="mixed", count=4).sample(POSITIVES, shown=SHOWN).beside.pool
    assert mixed.log_q_of(torch.tensor([1, 8])).exp().tolist() == pytest.approx([(7 / 14 + 1 / 8) / 2, 1 / 16])


def test_what_is_asked_of_the_batch_is_what_is_sampled_from_it() -> None:
    assert build().asks_of_batch is None
    assert not build().from_batch
    assert build(beside="in_batch").asks_of_batch == 3
    assert build(beside="in_batch").from_batch
    assert build(beside="mixed", count=4).asks_of_batch == 2
    sampler = build(count=3)
    assert (
        sampler.negatives_of_row(sampler.sample(POSITIVES, shown=SHOWN)) == 7 / 4 + 3
    )  # 3, 2, 2 and 0 items of impressions


def test_without_a_sampled_share_there_is_one_pool() -> None:
    sampler = build(count=None, sampled_share=0)
    pool = sampler.sample(POSITIVES, shown=SHOWN)
    assert pool.beside is None
    assert sampler.negatives_of_row(pool) == 7 / 4


def test_a_segment_reaches_what_is_sampled() -> None:
    from recbole_logq.probability import SegmentFrequency

    segments, items = torch.tensor([1, 1, 1, 2, 2]), torch.tensor([1, 1, 2, 2, 3])
    counts = TargetCounts(torch.bincount(items, minlength=9), segments=SegmentFrequency(segments, items, 9))
    sampler = get_sampler("impression")(counts, count=3, seed=4, beside="in_batch")
    sampler.observe(GradedLists(**LISTS))
    sampled = sampler.sample(torch.tensor([1, 2, 1]), shown=SHOWN[:3], segment=1).beside.pool
    assert sampled.log_q_of(torch.tensor([1, 2])).exp().tolist() == pytest.approx([2 / 3, 1 / 3])


def test_grades_are_targets_over_the_highest() -> None:
    pool = build(grades="target").sample(POSITIVES, shown=SHOWN)
    assert pool.target.tolist() == [[0.0, 0.0, 0.5], [0.0, 0.0, 0.0], [0.0, 0.25, 0.0], [0.0, 0.0, 0.0]]
    assert pool.positive_target.tolist() == [1.0, 0.5, 0.5, 1.0]
    terms = pool.terms(POSITIVES, hits="masked")
    assert torch.equal(terms.negative_target, pool.target)
    assert torch.equal(terms.positive_target, pool.positive_target)
    sampled = pool.beside.pool.terms(POSITIVES, hits="masked")
    assert torch.equal(sampled.positive_target, pool.positive_target)
    assert sampled.negative_target is None  # 0, as for any draw
    assert build().sample(POSITIVES, shown=SHOWN).target is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"sampled_share": 1}, "for sampled negatives alone set their source"),
        ({"sampled_share": -0.1}, "from 0 up"),
        ({"sampled_share": True}, "must be a number"),
        ({"shown": 0}, "shown must be a whole number"),
        ({"beside": ["uniform"]}, "beside must be one of"),
        ({"beside": "bir"}, "beside must be one of uniform, in_batch, mixed"),
        ({"grades": "weight"}, "grades must be order or target"),
        ({"count": None}, "needs a count"),
    ],
    ids=str,
)
def test_impossible_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_rows_without_their_impressions_are_refused() -> None:
    with pytest.raises(ValueError, match="needs the rows' impressions"):
        build().sample(POSITIVES)


def test_lists_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="within the 5 items"):
        GradedLists(**LISTS | {"size": torch.tensor([3, 2, 3, 0])})
    with pytest.raises(ValueError, match="must be"):
        GradedLists(**LISTS | {"size": torch.tensor([3, 2])})
    nothing = GradedLists.empty().draw(torch.tensor([], dtype=torch.int64), 2, torch.tensor([]))
    assert nothing[0].shape == (0, 2)
