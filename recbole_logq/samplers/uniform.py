"""Negatives drawn uniformly from the catalogue."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.independent_draws import IndependentDraws
from recbole_logq.transfer import to_device


@samplers.register("uniform", summary="every item of the catalogue alike, with replacement; Q = 1 / C")
class Uniform(IndependentDraws):
    """`count` draws with replacement from the items 1 to C, so `Q = 1 / C` for every item, seen or not.

    When to use: as the classic source; right where the draws are about as many as the items.

    Goes with: every sampled loss; `sampled_softmax` needs no correction with it.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("uniform")(counts, count=4, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 4, 2, 1]), tensor([0.2500, 0.2500, 0.2500, 0.2500]))

    Raises:
        ValueError: `count` is None: there is no natural size.
    """

    name = "uniform"

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.log_share = -math.log(counts.n_items - 1)

    def draw(self, pools: int, device: torch.device, numbers: DeviceNumbers | None) -> Tensor:
        """As `IndependentDraws.draw`."""
        if numbers is not None:
            return numbers.whole(1, self.n_items, pools, self.size)
        return to_device(torch.randint(1, self.n_items, (pools, self.size), generator=self.generator), device)

    def log_q_of(self, ids: Tensor) -> Tensor:
        """As `IndependentDraws.log_q_of`."""
        return torch.full(ids.shape, self.log_share, dtype=torch.float32, device=ids.device)
