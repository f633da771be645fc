"""Distinct values in sizes that nobody waits for: the same numbers as without padding."""

from __future__ import annotations

from collections import Counter

import pytest
import torch

from recbole_logq.samplers import UserItems
from recbole_logq.samplers.distinct import distinct, drawn_of

VALUES = torch.tensor([7, 3, 7, 9, 3, 3])


@pytest.fixture
def padded(monkeypatch: pytest.MonkeyPatch) -> None:
    """As on an accelerator."""
    monkeypatch.setattr("recbole_logq.samplers.distinct.pads", lambda device: True)


def test_values_places_and_number() -> None:
    found = distinct(VALUES)
    assert found.values.tolist() == [3, 7, 9]
    assert found.place.tolist() == [1, 0, 1, 2, 0, 0]
    assert int(found.number) == 3
    assert [part.tolist() for part in distinct(VALUES[:0])[:3]] == [[], [], 0]


@pytest.mark.usefixtures("padded")
def test_padding_repeats_the_largest() -> None:
    found = distinct(VALUES)
    assert found.values.tolist() == [3, 7, 9, 9, 9, 9]
    assert found.place.tolist() == [1, 0, 1, 2, 0, 0]
    assert int(found.number) == 3
    ids, log_share = drawn_of(found, None, torch.Generator())
    assert ids.tolist() == [3, 7, 9, 0, 0, 0]
    assert log_share == 0.0


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_a_seed_draws_the_same_with_padding_and_every_item_alike(count: int, request: pytest.FixtureRequest) -> None:
    exact = distinct(VALUES)
    request.getfixturevalue("padded")
    filled, times = distinct(VALUES), Counter[int]()
    for seed in range(600):
        ids, log_share = drawn_of(exact, count, torch.Generator().manual_seed(seed))
        behind, log_share_behind = drawn_of(filled, count, torch.Generator().manual_seed(seed))
        assert behind.tolist() == ids.tolist() + [0] * (count - len(ids))
        assert float(log_share) == float(log_share_behind) == pytest.approx(torch.tensor(len(ids) / 3).log().item())
        times.update(ids.tolist())
    # Five standard errors of a share of 600 draws.
    assert all(abs(times[item] / 600 - min(count, 3) / 3) <= 5 * (0.25 / 600) ** 0.5 for item in (3, 7, 9))


@pytest.mark.usefixtures("padded")
def test_histories_are_padded_with_a_user_of_their_own() -> None:
    history = UserItems(torch.tensor([1, 1, 1, 2, 4, 4]), torch.tensor([5, 6, 8, 7, 9, 3]), 5)
    owner, items, users = history.of_distinct(distinct(torch.tensor([2, 1, 2, 2])))
    assert users == 5
    assert owner.tolist() == [0, 0, 0, 1, 4, 4]  # four users have six items at most
    assert items.tolist() == [5, 6, 8, 7, 0, 0]
