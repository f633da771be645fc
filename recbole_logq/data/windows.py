"""Windows over users' sequences: every training target exactly once, without copies of prefixes."""

from __future__ import annotations

import torch


class Windows:
    """Cuts each user's training targets into windows of at most ``length`` positions.

    A window's inputs are the items right before its targets, so the next window's inputs start with the last target
    of the one before. Windows are aligned to the user's last target: the most recent one is full, like the history
    that evaluation sees. Positions inside a window that are not training targets (they belong to another split) have
    target 0.

    Args:
        items: All sequences one after the other, each in time order; int64 ``[interactions]``.
        users: The user of each position; int64 ``[interactions]``, grouped.
        targets: Positions in ``items`` that are training targets; int64 ``[targets]``. None is a sequence's first.
        length: Positions of a window.
    """

    def __init__(self, items: torch.Tensor, users: torch.Tensor, targets: torch.Tensor, length: int) -> None:
        self.items = items
        self.length = length
        self.is_target = torch.zeros(len(items), dtype=torch.bool)
        self.is_target[targets] = True
        ordered = targets.sort().values
        _, per_user = torch.unique_consecutive(users[ordered], return_counts=True)
        last_row = per_user.cumsum(0) - 1
        first, last = ordered[last_row - per_user + 1], ordered[last_row]
        count = torch.div(last - first, length, rounding_mode="floor") + 1
        # Number the windows of a user 0, 1, ... from the end.
        from_end = torch.arange(int(count.sum())) - (count.cumsum(0) - count).repeat_interleave(count)
        end = last.repeat_interleave(count) - from_end * length + 1
        self.start = torch.maximum(end - length, first.repeat_interleave(count))
        self.size = end - self.start

    @property
    def n_windows(self) -> int:
        """Windows in all."""
        return len(self.start)

    def rows(self, index: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Materialise windows.

        Args:
            index: Which windows; int64 ``[batch]``.

        Returns:
            Inputs and targets, int64 ``[batch, longest]``, right-padded with 0, and sizes ``[batch]``.
        """
        size = self.size[index]
        offsets = torch.arange(int(size.max()))
        inside = offsets < size[:, None]
        position = (self.start[index, None] + offsets).clamp_max(len(self.items) - 1)
        inputs = self.items[position - 1] * inside
        targets = self.items[position] * (inside & self.is_target[position])
        return inputs, targets, size

    def units_with_item(self, n_items: int) -> torch.Tensor:
        """In how many windows each item is a target at least once; int64 ``[n_items]``."""
        window = torch.arange(self.n_windows).repeat_interleave(self.size)
        first_of_window = self.size.cumsum(0) - self.size
        position = self.start[window] + torch.arange(len(window)) - first_of_window[window]
        kept = self.is_target[position]
        pairs = torch.unique(window[kept] * n_items + self.items[position[kept]])
        return torch.bincount(pairs % n_items, minlength=n_items)
