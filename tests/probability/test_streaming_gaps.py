"""The streaming estimate against the paper's recursion by hand and against known laws."""

import pytest
import torch

from recbole_logq.probability.streaming_gaps import StreamingGaps


def test_the_recursion_by_hand():
    gaps = StreamingGaps(4, rate=0.5)
    gaps.update(torch.tensor([1, 2, 2]))  # two distinct of four: all gaps start at 2
    # items 1, 2: 0.5 * 2 + 0.5 * 1; the others stay
    assert gaps.gap[0].tolist() == [2.0, 1.5, 1.5, 2.0]
    gaps.update(torch.tensor([3]))  # for the first time, at step 2
    assert gaps.gap[0].tolist() == [2.0, 1.5, 1.5, 2.0]
    gaps.update(torch.tensor([1, 3]))  # 1 after two steps, 3 after one
    assert gaps.gap[0].tolist() == [2.0, 1.75, 1.5, 1.5]
    assert gaps.last[0].tolist() == [0, 3, 1, 3]
    expected = -torch.tensor([1.75, 1.5]).log()
    torch.testing.assert_close(gaps.log_inclusion(torch.tensor([1, 2])), expected)


@pytest.mark.slow
@pytest.mark.parametrize("hashes", [0, 3])
def test_it_finds_how_often_batches_hold_an_item(hashes):
    generator = torch.Generator().manual_seed(0)
    p = torch.tensor([0.0, 0.9, 0.5, 0.2, 0.1, 0.05])
    gaps = StreamingGaps(6 if not hashes else 512, hashes=hashes, rate=0.02)
    for _ in range(6000):
        gaps.update((torch.rand(6, generator=generator) < p).nonzero().flatten())
    estimate = gaps.log_inclusion(torch.arange(1, 6)).exp()
    torch.testing.assert_close(estimate, p[1:], rtol=0.35, atol=0)


def test_it_follows_a_change():
    gaps = StreamingGaps(3, rate=0.1)
    for step in range(300):
        gaps.update(torch.tensor([1, 2]) if step % 10 == 0 else torch.tensor([1]))
    assert gaps.log_inclusion(torch.tensor([2])).exp().item() == pytest.approx(0.1, rel=0.05)
    for step in range(200):
        gaps.update(torch.tensor([1, 2]) if step % 2 == 0 else torch.tensor([1]))
    assert gaps.log_inclusion(torch.tensor([2])).exp().item() == pytest.approx(0.5, rel=0.05)


def test_collisions_only_ever_raise_one_of_several_estimates():
    generator = torch.Generator().manual_seed(1)
    few, many = StreamingGaps(16, hashes=1, rate=0.05), StreamingGaps(16, hashes=4, rate=0.05)
    for _ in range(500):
        batch = torch.randint(1, 100, (5,), generator=generator)
        few.update(batch)
        many.update(batch)
    ids = torch.arange(1, 100)
    true = 1 - (1 - 1 / 99) ** 5
    # Each bucket holds six items, so one function overstates; the least crowded of four buckets is nearer.
    assert few.log_inclusion(ids).exp().mean() > many.log_inclusion(ids).exp().mean() > true


def test_huge_ids_are_hashed_without_overflow_and_told_apart():
    gaps = StreamingGaps(1 << 16, hashes=2)
    ids = torch.tensor([1, 2**31, 2**40 + 1, 2**62 - 1, 2**62 - 2])
    for bucket in gaps._buckets(ids):
        assert ((bucket >= 0) & (bucket < 1 << 16)).all()
        assert len(bucket.unique()) == 5


def test_it_never_goes_above_one():
    gaps = StreamingGaps(3, rate=1.0)
    for _ in range(5):
        gaps.update(torch.tensor([1]))
    assert gaps.log_inclusion(torch.tensor([1])).item() == 0.0


@pytest.mark.parametrize(
    "options", [{"buckets": 0}, {"buckets": 4, "rate": 0}, {"buckets": 4, "rate": 1.1}, {"buckets": 4, "hashes": -1}]
)
def test_impossible_options(options):
    with pytest.raises(ValueError, match="streaming estimate"):
        StreamingGaps(**options)


def test_a_seed_decides_the_hash_functions_and_buffers_are_as_large_as_asked():
    one, again, other = (StreamingGaps(50, hashes=2, seed=seed) for seed in (1, 1, 2))
    assert torch.equal(one.factors, again.factors)
    assert not torch.equal(one.factors, other.factors)
    for hashes in (0, 1, 2):
        found = StreamingGaps(50, hashes=hashes)
        assert found.last.shape == found.gap.shape == (max(hashes, 1), 50)
        assert not found.last.any()
