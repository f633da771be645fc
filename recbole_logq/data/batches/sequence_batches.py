"""Shuffled batches of histories and targets from a cache of sequences, and how often each item is a target in them."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from recbole_logq.data.batches.sequence_cache import SequenceCache
from recbole_logq.data.dataset.histories import last_items

_USERS_COUNTED = 1 << 18  # at a time
# What one certain target counts as: expected counts are fractions, and counts are whole numbers.
_UNIT = 1 << 30


class SequenceBatches:
    """An epoch goes over all users in random order and takes targets of each at random; the epochs differ.

    Args:
        cache: The sequences.
        users: Users a batch.
        max_history: Items of a history, the latest before the target.
        seed: Seed of order and targets: the same seed gives the same batches.
        targets: Targets of a user in an epoch, all different positions, fewer of a user with fewer. A sequence's first
            position can be one, with an empty history.
        held_out: Items at the end of each sequence that are never targets, for validation and test.
    """

    def __init__(
        self, cache: SequenceCache, users: int, max_history: int, seed: int, targets: int = 1, held_out: int = 0
    ) -> None:
        self.cache, self.users, self.max_history = cache, users, max_history
        self.targets, self.held_out = targets, held_out
        self.generator = torch.Generator().manual_seed(seed)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """One epoch: histories int64 ``[rows, max_history]``, right-padded with 0, and targets int64 ``[rows]``."""
        for users in torch.randperm(self.cache.n_users, generator=self.generator).split(self.users):
            start, size = self._training_part(users)
            start, size = start[size > 0], size[size > 0]
            if len(size):
                yield self._rows(start, size)

    def _rows(self, start: Tensor, size: Tensor) -> tuple[Tensor, Tensor]:
        items = self.cache.items
        # A systematic sample: equal steps around the sequence from a random position. All positions are equally likely,
        # and none comes twice.
        count = size.clamp_max(self.targets)
        first = (torch.rand(len(size), generator=self.generator, dtype=torch.float64) * size).long()
        row = torch.arange(len(size)).repeat_interleave(count)
        number = torch.arange(len(row)) - (count.cumsum(0) - count)[row]
        target = start[row] + (first[row] + number * (size // count)[row]) % size[row]
        return last_items(items, start[row], target, self.max_history).long(), items[target].long()

    def target_counts(self) -> Tensor:
        """How often each item is a target in an epoch, on average: int64 ``[n_items]``, in units of 2^-30.

        A user with many items gives no more targets than ``targets``, so an interaction of such a user counts less than
        one: counting interactions would overstate what active users like.
        """
        total = torch.zeros(self.cache.n_items, dtype=torch.float64)
        for users in torch.arange(self.cache.n_users).split(_USERS_COUNTED):
            start, size = self._training_part(users)
            share = size.clamp_max(self.targets).double() / size.clamp_min(1)
            row = torch.arange(len(size)).repeat_interleave(size)
            position = torch.arange(len(row)) + (start - (size.cumsum(0) - size))[row]
            total.index_add_(0, self.cache.items[position].long(), share[row])
        return (total * _UNIT).round().long()

    def _training_part(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """Where the sequences start, and how many of their items may be targets."""
        start = self.cache.offsets[users]
        return start, (self.cache.offsets[users + 1] - start - self.held_out).clamp_min(0)
