"""Negatives drawn by popularity."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.independent_draws import IndependentDraws
from recbole_logq.transfer import to_device


@samplers.register("popularity", summary="drawn in proportion to count^alpha; Q carries the same alpha")
class Popularity(IndependentDraws):
    """`count` draws with replacement, `Q(d)` proportional to the item's training targets to the power of alpha.

    When to use: where batches are too small to draw from, or negatives should follow popularity to another power.

    Goes with: `corrected_logq` and `logq`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("popularity")(counts, count=4, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([4, 2, 1, 4]), tensor([0.1000, 0.3000, 0.5000, 0.1000]))

    Args:
        alpha: 1 is the frequency of in-batch negatives, 0 is uniform, 0.75 is word2vec's (Mikolov et al. 2013). Above
            0, items without training targets are never drawn.

    Raises:
        ValueError: `count` is None, or alpha is negative or not finite.

    Buffers:
        log_share: float32 `[n_items]`, log Q.
        cumulative: float64 `[n_items]`, the distribution function.
    """

    name = "popularity"
    log_share: Tensor
    cumulative: Tensor

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int, alpha: float = 1.0) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.check_number(alpha=alpha)
        if alpha < 0:
            raise ValueError(f"sampler 'popularity': alpha must be 0 or above, got {alpha}")
        # In log space: a large alpha overflows. Items without targets are never drawn, unless alpha is 0.
        log_weight = alpha * counts.counts.double().log() if alpha else torch.zeros(self.n_items, dtype=torch.float64)
        log_weight[0] = -torch.inf  # padding
        log_share = log_weight.log_softmax(dim=0)
        self.register_buffer("log_share", log_share.float())
        self.register_buffer("cumulative", log_share.exp().cumsum(0))

    def draw(self, pools: int, device: torch.device, numbers: DeviceNumbers | None) -> Tensor:
        """As `IndependentDraws.draw`."""
        # By the distribution function: torch.multinomial takes no more than 2^24 categories.
        if numbers is None:
            drawn = torch.rand(pools, self.size, generator=self.generator, dtype=torch.float64)
            uniform = to_device(drawn, device)
        else:
            uniform = numbers.uniform(pools, self.size)
        return torch.searchsorted(self.cumulative, uniform, right=True).clamp_max(self.n_items - 1)

    def log_q_of(self, ids: Tensor) -> Tensor:
        """As `IndependentDraws.log_q_of`."""
        return self.log_share[ids]
