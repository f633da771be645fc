"""Random numbers that an accelerator draws itself, from a seed: another stream than the host's."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor


class DeviceNumbers:
    """What samplers draw in a step whose shapes are fixed: nothing comes from the host.

    A seed gives the same numbers on every run on the same kind of device. A captured step draws on from where the last
    replay ended: see `register`.

    Args:
        device: Device of the numbers.
        seed: Seed of the generator.
    """

    def __init__(self, device: torch.device | str, seed: int) -> None:
        self.device = torch.device(device)
        # There are no numbers on the meta device, only shapes.
        self.generator = None if self.device.type == "meta" else torch.Generator(self.device).manual_seed(seed)

    def whole(self, low: int, high: int, *shape: int) -> Tensor:
        """Whole numbers from `low` to below `high`, int64."""
        return torch.randint(low, high, shape, generator=self.generator, device=self.device)

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float64) -> Tensor:
        """Numbers in [0, 1)."""
        return torch.rand(shape, generator=self.generator, dtype=dtype, device=self.device)

    def places(self, pools: int, count: int, rows: int, real: Tensor | None = None) -> Tensor:
        """Rows without replacement, int64 `[pools, count]`, for each pool anew.

        Args:
            pools: Number of pools.
            count: Rows of a pool; there are as many that may be drawn, at least.
            rows: Number of rows.
            real: bool `[rows]`, which rows may be drawn. Default: all.
        """
        keys = self.uniform(pools, rows, dtype=torch.float32)
        if real is not None:
            keys.add_(real, alpha=-1)  # below all others, and exact
        return keys.topk(count, dim=1, largest=False, sorted=False).indices

    def register(self, graph: Any) -> None:
        """Let a CUDA graph draw from these numbers."""
        graph.register_generator_state(self.generator)

    def state(self) -> Tensor:
        """State of the generator, for a checkpoint."""
        assert self.generator is not None
        return self.generator.get_state()

    def set_state(self, state: Tensor) -> None:
        """Continue the stream of a checkpoint."""
        assert self.generator is not None
        self.generator.set_state(state.cpu())
