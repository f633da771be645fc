"""What every sampler is: a module with its own random numbers and a `sample` method."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers.pool import Pool, PoolKind


class Sampler(nn.Module, ABC):
    """Builds one pool per training step.

    The random generator is the sampler's own, so a seed gives the same pools whatever else draws numbers; it lives
    on the CPU, so it gives them on every device; and it is part of `state_dict`, so a resumed run continues the
    stream.

    Args:
        counts: Training targets by item.
        count: Size of the pool; None where the sampler takes all it can get.
        seed: Of the generator.

    Attributes:
        name: Name in the registry.
        kind: Kind of the pools it builds.

    Raises:
        ValueError: `count` is neither None nor a positive integer.
    """

    name: ClassVar[str]
    kind: ClassVar[PoolKind]

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__()
        if count is not None and (isinstance(count, bool) or not isinstance(count, int) or count < 1):
            raise ValueError(f"sampler {self.name!r}: count must be a positive integer or None, got {count!r}")
        self.count = count
        self.n_items = counts.n_items
        self.generator = torch.Generator()
        self.generator.manual_seed(seed)

    @abstractmethod
    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """The pool of one step.

        Args:
            positives: int64 `[rows]`, positive ids of the step, without padded positions. Its device is the pool's.
            n_units: Number of independently drawn units (users, windows) the rows come from. Default: every row is
                one, as in a two-tower batch of interactions.

        Returns:
            A pool whose `log_q` describes how it was really drawn.
        """

    def forward(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        return self.sample(positives, n_units=n_units)

    def after_step(self) -> None:
        """Called once after every optimizer step that was applied; for samplers that learn from the stream."""

    def get_extra_state(self) -> dict[str, Tensor]:
        """State of the generator, for the checkpoint."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: Any) -> None:
        """Continues the stream of a checkpoint (whose tensors may have been mapped to another device)."""
        self.generator.set_state(state["generator"].cpu())

    def choose(self, total: int) -> Tensor | None:
        """`count` of `total` positions, without replacement, int64 on the CPU; None if all of them are taken."""
        if self.count is None or self.count >= total:
            return None
        return torch.randperm(total, generator=self.generator)[: self.count]
