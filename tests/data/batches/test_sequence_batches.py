"""Batches from a cache: every user, the right history, the stated frequency, the same for the same seed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from recbole_logq.data.batches import sequence_batches
from recbole_logq.data.batches.sequence_batches import SequenceBatches
from recbole_logq.data.batches.sequence_cache import SequenceCache


@pytest.fixture
def cached(tmp_path: Path) -> Callable[[list[list[int]]], SequenceCache]:
    def make(sequences: list[list[int]]) -> SequenceCache:
        flat = np.array([item for ids in sequences for item in ids])
        return SequenceCache.write(tmp_path / "cache", [(flat, np.array([len(ids) for ids in sequences]))])

    return make


def distinct() -> list[list[int]]:
    """200 users, all items of all users different, so that a target tells its user and position; some have none."""
    ids = iter(range(1, 100_000))
    return [[next(ids) for _ in range(size % 8)] for size in range(200)]


def rows_of(batches: SequenceBatches) -> Iterator[tuple[list[int], int]]:
    for history, target in batches:
        assert history.dtype == target.dtype == torch.int64
        yield from zip(history.tolist(), target.tolist(), strict=True)


@pytest.mark.parametrize("targets", [1, 3, 100])
@pytest.mark.parametrize("held_out", [0, 2])
def test_an_epoch_has_every_user_with_what_came_before(
    cached: Callable[..., SequenceCache], targets: int, held_out: int
) -> None:
    sequences = distinct()
    place = {item: (user, at) for user, ids in enumerate(sequences) for at, item in enumerate(ids)}
    batches = SequenceBatches(cached(sequences), users=16, max_history=4, seed=0, targets=targets, held_out=held_out)
    seen: dict[int, list[int]] = {}
    for history, target in rows_of(batches):
        user, at = place[target]
        before = sequences[user][max(at - 4, 0) : at]
        assert history == before + [0] * (4 - len(before))
        seen.setdefault(user, []).append(at)
    for user, ids in enumerate(sequences):
        size = max(len(ids) - held_out, 0)
        assert len(set(seen.get(user, []))) == len(seen.get(user, [])) == min(targets, size)
        assert all(at < size for at in seen.get(user, []))


def test_users_come_in_another_order_every_epoch(cached: Callable[..., SequenceCache]) -> None:
    batches = SequenceBatches(cached(distinct()), users=16, max_history=4, seed=0)
    first, second = (list(rows_of(batches)) for _ in range(2))
    assert len(first) == len(second) == 175
    assert first != second
    order = [target for _, target in first]
    assert order != sorted(order)


def test_the_same_seed_gives_the_same_batches(cached: Callable[..., SequenceCache]) -> None:
    cache = cached(distinct())
    one, same, other = (SequenceBatches(cache, users=16, max_history=4, seed=seed, targets=2) for seed in (3, 3, 4))
    for _ in range(2):  # epochs
        assert list(rows_of(one)) == list(rows_of(same)) != list(rows_of(other))


@pytest.mark.parametrize("targets", [1, 2])
def test_counts_are_those_of_many_epochs(
    cached: Callable[..., SequenceCache], monkeypatch: pytest.MonkeyPatch, targets: int
) -> None:
    monkeypatch.setattr(sequence_batches, "_USERS_COUNTED", 2)  # several blocks
    cache = cached([[1, 2, 1, 3], [2], [], [4, 4, 5, 6, 7, 1], [8, 3]])
    batches = SequenceBatches(cache, users=2, max_history=2, seed=0, targets=targets, held_out=1)
    # What is left to be a target: 1 2 1 | nothing | nothing | 4 4 5 6 7 | 8
    shares = {1: [0, 2 / 3, 1 / 3, 0, 2 / 5, 1 / 5, 1 / 5, 1 / 5, 1]}
    shares[2] = [0, 4 / 3, 2 / 3, 0, 4 / 5, 2 / 5, 2 / 5, 2 / 5, 1]
    expected = torch.tensor(shares[targets], dtype=torch.float64)
    counts = batches.target_counts()
    assert counts.dtype == torch.int64
    torch.testing.assert_close(counts.double() / 2**30, expected, rtol=1e-8, atol=1e-8)
    drawn = torch.zeros(9, dtype=torch.float64)
    for _ in range(1500):
        for _, target in batches:
            drawn += torch.bincount(target, minlength=9)
    # Five standard deviations of a share are 5 * 0.5 / sqrt(1500).
    torch.testing.assert_close(drawn / 1500, expected, rtol=0, atol=0.065)
    assert not drawn[expected == 0].any()
