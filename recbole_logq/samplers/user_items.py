"""The items of every user, as one flat list."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_logq.samplers.distinct import Distinct


class UserItems(nn.Module):
    """Distinct items by user; a module, so that it moves to a device with the model. It is never in a checkpoint.

    Args:
        users: int64 `[pairs]`.
        items: int64 `[pairs]`, one item of the user beside it; pairs may repeat.
        n_users: Number of users; ids are below it.

    Raises:
        ValueError: The two do not fit together.

    Buffers:
        offsets: int64 `[n_users + 1]`, where each user's items begin.
        items: int64 `[distinct pairs]`, by user, sorted within a user.
    """

    offsets: Tensor
    items: Tensor

    def __init__(self, users: Tensor, items: Tensor, n_users: int) -> None:
        super().__init__()
        if users.shape != items.shape or users.dim() != 1 or users.dtype != torch.int64 or items.dtype != torch.int64:
            raise ValueError(f"users and items must be int64 [pairs], got {list(users.shape)} and {list(items.shape)}")
        width = int(items.max()) + 1 if len(items) else 1
        pairs = torch.unique(users * width + items)
        sizes = torch.bincount(torch.div(pairs, width, rounding_mode="floor"), minlength=n_users)
        offsets = torch.cat([sizes.new_zeros(1), sizes.cumsum(0)])
        self.register_buffer("offsets", offsets, persistent=False)
        self.register_buffer("items", pairs % width, persistent=False)
        self._most = sizes.sort(descending=True).values.cumsum(0)  # stays on the host

    def sizes(self, users: Tensor) -> Tensor:
        """Number of items of each user, int64, shape of `users`."""
        return self.offsets[users + 1] - self.offsets[users]

    def of(self, users: Tensor) -> tuple[Tensor, Tensor]:
        """All items of some users.

        Args:
            users: int64 `[m]`.

        Returns:
            The place in `users` of every item's user, and the item; both int64 `[items]`.
        """
        sizes = self.sizes(users)
        owner = torch.arange(len(users), device=users.device).repeat_interleave(sizes)
        start = self.offsets[users] - (sizes.cumsum(0) - sizes)
        return owner, self.items[torch.arange(len(owner), device=users.device) + start[owner]]

    def of_distinct(self, users: Distinct) -> tuple[Tensor, Tensor, int]:
        """All items of distinct users, as `of`.

        Padded, as many as that many users can have, so that nobody waits for their number: those that are left over are
        of one more user, who has item 0.

        Returns:
            Places and items, both int64 `[items]`, and how many users there are to have them.
        """
        n, device = len(users.values), users.values.device
        if not users.padded:
            return *self.of(users.values), n
        most = int(self._most[min(n, len(self._most)) - 1]) if n else 0
        real = torch.arange(n, device=device) < users.number
        sizes = torch.where(real, self.sizes(users.values), 0)
        ends = sizes.cumsum(0)
        place = torch.arange(most, device=device)
        owner = torch.searchsorted(ends, place, right=True)  # n for what is left over
        start = functional.pad(self.offsets[users.values] - (ends - sizes), (0, 1))
        items = self.items[(place + start[owner]).clamp_max(max(len(self.items) - 1, 0))]
        return owner, items.masked_fill(owner == n, 0), n + 1

    def draw(self, users: Tensor, uniform: Tensor) -> Tensor:
        """Items drawn with replacement.

        Args:
            users: int64 `[rows]`.
            uniform: Floating `[rows, n]` in [0, 1), the random numbers.

        Returns:
            int64 `[rows, n]`; 0 in the rows of users without items.
        """
        sizes = self.sizes(users).unsqueeze(1)
        place = torch.minimum((uniform * sizes).long(), (sizes - 1).clamp_min(0))
        place = (self.offsets[users].unsqueeze(1) + place).clamp_max(max(len(self.items) - 1, 0))
        if not len(self.items):
            return torch.zeros_like(place)
        return self.items[place] * (sizes > 0)
