"""No sampling: the pool is every item."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler


@samplers.register("catalogue", summary="all items, for the full softmax; nothing is sampled")
class Catalogue(Sampler):
    """The ids 1 to C, in order.

    When to use: for losses that score every item.

    Goes with: `full_softmax` and `sce`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("catalogue")(counts, count=None, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids
        tensor([1, 2, 3, 4])

    Raises:
        ValueError: `count` is not None.
    """

    name = "catalogue"
    kind = "catalogue"
    from_batch = random_batches = False
    ids: Tensor

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__(counts, count=count, seed=seed)
        if count is not None:
            raise ValueError(f"sampler 'catalogue' takes every item, so count must be None, got {count}")
        self.register_buffer("ids", torch.arange(1, counts.n_items), persistent=False)
        self.register_buffer("origin", torch.full((counts.n_items - 1,), -1), persistent=False)

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`: always the same pool, on the device of `positives`."""
        return Pool(ids=self.ids.to(positives.device), kind=self.kind, origin=self.origin.to(positives.device))

    origin: Tensor
