"""Splitting rows group by group, as RecBole does it, in whole arrays instead of a Python list per user."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import torch
from recbole.data.interaction import Interaction
from torch import Tensor


def take(rows: Interaction, index: Tensor) -> Interaction:
    """Rows by number (int64 ``[chosen]``); RecBole's own indexing makes a Python list of the numbers."""
    return Interaction({field: column[index] for field, column in rows.interaction.items()})


def stable_order(values: Tensor) -> Tensor:
    """Row numbers in ascending order of ``values`` (``[rows]``), ties as they come; int64 ``[rows]``."""
    if values.is_floating_point():
        # Times mostly are whole numbers, which sort several times faster as such.
        whole = values.to(torch.int64)
        values = whole if torch.equal(whole.to(values.dtype), values) else values
    return torch.argsort(values, stable=True)


def order_by(rows: Interaction, fields: Sequence[str]) -> Tensor:
    """Row numbers in ascending order of several columns, the first the weightiest; int64 ``[rows]``."""
    *before, last = fields
    order = stable_order(rows[last])
    for field in reversed(before):
        order = order[stable_order(rows[field][order])]
    return order


class Groups:
    """Rows by group.

    Args:
        keys: The group of each row; int64 ``[rows]``.

    Attributes:
        order: Row numbers, group after group as the groups first appear, in the order given inside each;
            int64 ``[rows]``.
        place: Place of each row in its group, from 0; int64 ``[rows]``.
        size: Size of its group; int64 ``[rows]``.
    """

    def __init__(self, keys: Tensor) -> None:
        group = torch.from_numpy(pd.factorize(keys.numpy())[0])
        self.order = torch.argsort(group, stable=True)
        sizes = torch.bincount(group)
        self.size = sizes.repeat_interleave(sizes)
        self.place = torch.arange(len(keys)) - (sizes.cumsum(0) - sizes).repeat_interleave(sizes)

    def all_but_last(self, held_out: int) -> list[Tensor]:
        """Hold out the last ``held_out`` rows of each group, one a part, and always leave one row to the first part.

        A group that is too small for all parts lacks the earlier of them.

        Returns:
            Row numbers of ``held_out + 1`` parts.
        """
        from_end = self.size - 1 - self.place
        part = (held_out - from_end).clamp_min(0) * (self.place > 0)
        return [self.order[part == number] for number in range(held_out + 1)]

    def by_size(self, cuts: Callable[[int], Sequence[int]], parts: int) -> list[Tensor]:
        """Cut each group at places that depend on its size.

        Args:
            cuts: Function from a size to its ``parts - 1`` places.
            parts: Number of parts.

        Returns:
            Row numbers of the parts.
        """
        sizes = torch.unique(self.size)
        places = torch.from_numpy(np.array([cuts(size) for size in sizes.tolist()], np.int64).reshape(-1, parts - 1))
        part = (self.place[:, None] >= places[torch.searchsorted(sizes, self.size)]).sum(1)
        return [self.order[part == number] for number in range(parts)]
