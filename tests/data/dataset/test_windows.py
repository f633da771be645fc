"""Windows against what they promise, worked out by hand and by brute force."""

from __future__ import annotations

import pytest
import torch

from recbole_logq.data.dataset.windows import Windows

# Users 1 and 2 after each other; user 1: items 11..16, user 2: items 21..23.
ITEMS = torch.tensor([11, 12, 13, 14, 15, 16, 21, 22, 23])
USERS = torch.tensor([1, 1, 1, 1, 1, 1, 2, 2, 2])


def padded(windows: Windows, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Inputs and targets ``[windows, longest]``, 0 beyond the end and for what is no target, and sizes."""
    packing, place = windows.tokens(index)
    inputs = torch.zeros(len(index), int(packing.lengths.max()), dtype=torch.int64)
    targets = torch.zeros_like(inputs)
    inputs[packing.sequence, packing.position] = windows.items[place - 1]
    targets[packing.sequence, packing.position] = windows.items[place] * windows.is_target[place]
    assert windows.n_targets(index) == int((targets > 0).sum())
    return inputs, targets, packing.lengths


def test_windows_by_hand() -> None:
    # The last two positions of user 1 and the last one of user 2 belong to other splits.
    windows = Windows(ITEMS, USERS, torch.tensor([1, 2, 3, 7]), length=2)
    inputs, targets, size = padded(windows, torch.arange(windows.n_windows))
    assert list(zip(inputs.tolist(), targets.tolist(), size.tolist(), strict=True)) == [
        ([12, 13], [13, 14], 2),  # aligned to the last target; its inputs start with ...
        ([11, 0], [12, 0], 1),  # ... the last target of the window before
        ([21, 0], [22, 0], 1),
    ]


def test_positions_of_other_splits_are_inputs_but_never_targets() -> None:
    windows = Windows(ITEMS, USERS, torch.tensor([1, 3, 5]), length=10)
    inputs, targets, _ = padded(windows, torch.tensor([0]))
    assert inputs.tolist() == [[11, 12, 13, 14, 15]]
    assert targets.tolist() == [[12, 0, 14, 0, 16]]


@pytest.mark.parametrize("shifted", [False, True])
@pytest.mark.parametrize("length", [1, 2, 3, 7, 50])
def test_every_target_once_with_its_predecessors(length: int, shifted: bool) -> None:
    generator = torch.Generator().manual_seed(length)
    sizes = torch.randint(2, 40, (30,), generator=generator)
    users = torch.arange(30).repeat_interleave(sizes)
    items = torch.arange(1, len(users) + 1)  # every interaction has its own item, so that positions are visible
    first = torch.ones(len(users), dtype=torch.bool)
    first[1:] = users[1:] != users[:-1]
    chosen = (~first & (torch.rand(len(users), generator=generator) < 0.7)).nonzero().flatten()
    windows = Windows(items, users, chosen[torch.randperm(len(chosen), generator=generator)], length)
    if shifted:
        windows.cut_at_random(generator)
    seen = []
    for row in range(windows.n_windows):
        inputs, targets, size = padded(windows, torch.tensor([row]))
        assert inputs.shape == (1, int(size))
        assert int(size) <= length
        assert (users[inputs[0] - 1] == users[inputs[0, 0] - 1]).all()  # one user only
        assert (inputs[0, 1:] == inputs[0, :-1] + 1).all()  # consecutive, no gap
        real = targets[0] > 0
        assert (targets[0][real] == inputs[0][real] + 1).all()  # the target follows its input
        seen += targets[0][real].tolist()
    assert sorted(seen) == items[chosen].tolist()


def test_a_shift_moves_the_cut() -> None:
    windows = Windows(ITEMS, USERS, torch.tensor([1, 2, 3, 7]), length=2)
    windows.cut(torch.tensor([1, 1]))
    inputs, targets, size = padded(windows, torch.arange(windows.n_windows))
    assert list(zip(inputs.tolist(), targets.tolist(), size.tolist(), strict=True)) == [
        ([13, 0], [14, 0], 1),
        ([11, 12], [12, 13], 2),
        ([21, 0], [22, 0], 1),
    ]


def test_expected_units_are_the_mean_over_all_cuts() -> None:
    generator = torch.Generator().manual_seed(3)
    length, n_items = 5, 8
    sizes = torch.randint(2, 30, (12,), generator=generator)
    users = torch.arange(12).repeat_interleave(sizes)
    items = torch.randint(1, n_items, (len(users),), generator=generator)  # many repetitions
    first = torch.ones(len(users), dtype=torch.bool)
    first[1:] = users[1:] != users[:-1]
    targets = (~first & (torch.rand(len(users), generator=generator) < 0.8)).nonzero().flatten()
    windows = Windows(items, users, targets, length)
    units, n_windows = torch.zeros(n_items, dtype=torch.int64), 0
    n_users = len(users[targets].unique())
    for shift in range(length):
        windows.cut(torch.full((n_users,), shift))
        _, rows, _ = padded(windows, torch.arange(windows.n_windows))
        n_windows += windows.n_windows
        for row in rows:
            units[row[row > 0].unique()] += 1
    expected, expected_windows = windows.expected_units(n_items)
    assert expected.tolist() == units.tolist()  # both are sums over `length` cuts
    assert expected_windows == n_windows
