"""A training part out of nothing, for benchmarks whose catalogue is larger than that of the data at hand."""

from __future__ import annotations

from typing import Any

import torch

from recbole_logq.data.dataset.windows import Windows


class SyntheticSequences:
    """Users with sequences of random lengths over items by popularity, 1 over the rank; in place of a dataset.

    It has what models, loaders and the trainer's step read of a training part: targets for the two-tower model, windows
    for the sequential one.

    Args:
        users: Users.
        items: Items.
        length: Longest window.
        shortest: Shortest sequence, in targets.
        longest: Longest sequence, in targets. A user has one item more.
    """

    uid_field, iid_field, item_list_field, item_list_length_field = "user_id", "item_id", "item_id_list", "item_length"
    flat_weights, reads_times, impression_lists = None, False, None
    field2type: dict[str, Any] = {}

    def __init__(self, users: int, items: int, length: int, shortest: int, longest: int) -> None:
        generator = torch.Generator().manual_seed(0)
        sizes = torch.randint(shortest, longest + 1, (users,), generator=generator) + 1
        law = (1.0 / torch.arange(1, items + 1, dtype=torch.float64)).cumsum(0)
        drawn = torch.rand(int(sizes.sum()), generator=generator, dtype=torch.float64) * law[-1]
        self.flat_items = torch.searchsorted(law, drawn).clamp_max(items - 1) + 1
        self.flat_users = torch.arange(users).repeat_interleave(sizes) + 1
        first = sizes.cumsum(0) - sizes
        targets = torch.ones(len(self.flat_items), dtype=torch.bool)
        targets[first] = False
        rows = targets.nonzero().flatten()
        self.windows = Windows(self.flat_items, self.flat_users, rows, length)
        self.inter_feat = {self.iid_field: self.flat_items[rows], self.uid_field: self.flat_users[rows]}
        self.item_num, self.user_num = items + 1, users + 1
        self.training_negatives = None

    def __len__(self) -> int:
        return len(self.inter_feat[self.iid_field])

    def num(self, field: str) -> int:
        """Ids of a field, padding included."""
        return self.item_num if field == self.iid_field else self.user_num
