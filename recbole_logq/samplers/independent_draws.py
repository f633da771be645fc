"""What samplers share whose draws have nothing to do with the batch."""

from __future__ import annotations

from abc import abstractmethod

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.pools import Pools
from recbole_logq.samplers.sampler import Sampler


class IndependentDraws(Sampler):
    """`count` independent draws with replacement, all by one law of the catalogue's items.

    A member gives `draw` and `log_q_of`.

    Raises:
        ValueError: `count` is None: there is no natural size.
    """

    kind = "draws"
    from_batch = random_batches = False

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__(counts, count=count, seed=seed)
        if count is None:
            raise ValueError(f"sampler {self.name!r} needs a count: it can draw any number of negatives")
        self.size = count

    @abstractmethod
    def draw(self, pools: int, device: torch.device, numbers: DeviceNumbers | None) -> Tensor:
        """Items of pools of `size` columns.

        Args:
            pools: Number of pools.
            device: Device of the result.
            numbers: Random numbers to draw from; None for the sampler's own.

        Returns:
            int64 `[pools, size]`.
        """

    @abstractmethod
    def log_q_of(self, ids: Tensor) -> Tensor:
        """log-probability of items in one draw, float32, shape of `ids`."""

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`; of `positives` only the device matters."""
        ids = self.draw(1, positives.device, None)[0]
        return Pool(ids, self.kind, torch.full_like(ids, -1), log_q=self.log_q_of(ids), law=self.log_q_of)

    @property
    def takes_pools(self) -> bool:
        """As `Sampler.takes_pools`."""
        return True

    def sample_pools(
        self, positives: Tensor, pools: int, *, numbers: DeviceNumbers | None = None, real: Tensor | None = None
    ) -> Pools:
        """As `Sampler.sample_pools`."""
        ids = self.draw(pools, positives.device, numbers)
        return Pools(ids, torch.full_like(ids, -1), self.log_q_of)
