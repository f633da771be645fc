"""Windows over users' sequences: every training target exactly once, without copies of prefixes."""

from __future__ import annotations

import torch

from recbole_logq.modules.packing import Packing
from recbole_logq.transfer import to_device


class Windows:
    """Cuts each user's training targets into windows of at most ``length`` positions.

    A window's inputs are the items right before its targets, so the next window's inputs start with the last target
    of the one before. Without a shift, windows end at the user's last target: the most recent one is full, like the
    history that evaluation sees. Positions inside a window that are not training targets belong to another split.

    Args:
        items: All sequences one after the other, each in time order; int64 ``[interactions]``.
        users: The user of each position; int64 ``[interactions]``, grouped.
        targets: Positions in ``items`` that are training targets; int64 ``[targets]``. None is a sequence's first.
        length: Positions of a window.
    """

    def __init__(self, items: torch.Tensor, users: torch.Tensor, targets: torch.Tensor, length: int) -> None:
        self.items = items
        self.users = users
        self.length = length
        self.is_target = torch.zeros(len(items), dtype=torch.bool)
        self.is_target[targets] = True
        self._targets_before = torch.cat([targets.new_zeros(1), self.is_target.cumsum(0)])
        ordered = targets.sort().values
        _, per_user = torch.unique_consecutive(users[ordered], return_counts=True)
        last_row = per_user.cumsum(0) - 1
        self._first, self._last = ordered[last_row - per_user + 1], ordered[last_row]
        self.cut(torch.zeros_like(self._first))

    def cut(self, shift: torch.Tensor) -> None:
        """Cut anew, each user's windows ending ``shift`` positions after the last target.

        Args:
            shift: int64 ``[users with targets]``, each from 0 to ``length - 1``.
        """
        first, last = self._first, self._last
        count = torch.div(last + shift - first, self.length, rounding_mode="floor") + 1
        # Number the windows of a user 0, 1, ... from the end.
        from_end = torch.arange(int(count.sum())) - (count.cumsum(0) - count).repeat_interleave(count)
        end = (last + shift).repeat_interleave(count) - from_end * self.length + 1
        self.start = torch.maximum(end - self.length, first.repeat_interleave(count))
        self.size = torch.minimum(end, last.repeat_interleave(count) + 1) - self.start

    def cut_at_random(self, generator: torch.Generator) -> None:
        """Cut anew at a uniform shift per user: over the epochs a target is seen with contexts of all lengths."""
        self.cut(torch.randint(self.length, self._first.shape, generator=generator))

    @property
    def n_windows(self) -> int:
        """Windows in all."""
        return len(self.start)

    def tokens(self, index: torch.Tensor, device: torch.device | str = "cpu") -> tuple[Packing, torch.Tensor]:
        """The positions of windows, token after token; shapes are worked out on the host.

        Args:
            index: Numbers of the windows; int64 ``[batch]``, on the host.
            device: Device of the result.

        Returns:
            The packing of the windows, and where each of its tokens lies in ``items``, int64 ``[tokens]``: the target;
            the input is the item before it.
        """
        packing = Packing(self.size[index], device)
        return packing, to_device(self.start[index], device)[packing.sequence] + packing.position

    def n_targets(self, index: torch.Tensor) -> int:
        """Training targets in windows (int64 ``[batch]``); positions that are none have no part in it."""
        start = self.start[index]
        return int((self._targets_before[start + self.size[index]] - self._targets_before[start]).sum())

    @property
    def n_tokens(self) -> int:
        """Positions in all windows together, however they are cut."""
        return int((self._last - self._first + 1).sum())

    @property
    def expected_n_windows(self) -> int:
        """Windows, averaged over random cuts and rounded."""
        return round(self._windows_times_length / self.length)

    @property
    def _windows_times_length(self) -> int:
        return int((self._last - self._first + self.length).sum())

    def expected_units(self, n_items: int) -> tuple[torch.Tensor, int]:
        """Number of windows in which each item is a target, and number of windows, averaged over random cuts.

        Two targets of a user that lie ``g`` positions apart share a window with probability ``max(0, 1 - g/length)``,
        and ``m + 1`` positions make ``1 + m/length`` windows on average (Hermite's identity): both are exact.

        Returns:
            Both **times length**, so that they are whole numbers: int64 ``[n_items]``, and the number of windows.
        """
        position = self.is_target.nonzero().flatten()
        pair = self.users[position] * n_items + self.items[position]
        order = torch.argsort(pair, stable=True)  # by user and item, in time order
        pair, position = pair[order], position[order]
        gap = torch.full_like(position, self.length)
        again = pair[1:] == pair[:-1]
        gap[1:][again] = (position[1:] - position[:-1])[again].clamp_max(self.length)
        units = torch.zeros(n_items, dtype=torch.int64).index_add_(0, pair % n_items, gap)
        return units, self._windows_times_length
