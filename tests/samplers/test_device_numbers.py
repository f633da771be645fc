"""Rows that a device draws without replacement."""

import torch

from recbole_logq.samplers.device_numbers import DeviceNumbers

REAL = torch.tensor([True, False, True, True, False, True])


def test_padding_is_not_drawn_and_nothing_twice() -> None:
    numbers = DeviceNumbers("cpu", 0)
    drawn = numbers.places(200, 4, len(REAL), REAL)
    assert drawn.sort(dim=1).values.unique(dim=0).tolist() == [[0, 2, 3, 5]]
    assert len(drawn.unique(dim=0)) > 1
    assert numbers.places(3, 6, 6).sort(dim=1).values.unique(dim=0).tolist() == [[0, 1, 2, 3, 4, 5]]


def test_rows_are_drawn_alike() -> None:
    drawn = DeviceNumbers("cpu", 1).places(4000, 2, len(REAL), REAL)
    share = torch.bincount(drawn.flatten(), minlength=6)[REAL] / 4000
    assert ((share - 0.5).abs() < 5 * (0.25 / 4000) ** 0.5).all()
