"""A copy of an item tower whose weights follow the tower's slowly; torch only."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class KeyEncoder(nn.Module):
    """An item tower whose weights are a moving average (He et al., "Momentum Contrast", CVPR 2020, equation 2).

    ``average <- m average + (1 - m) current``, after every applied step. Vectors that a memory got from it at different
    steps come from nearly the same weights. It draws nothing and drops nothing: it is never in training mode.

    Args:
        tower: Module from ids to vectors; what it keeps of the items' features is shared with it, not copied.
        momentum: m, from 0 up, below 1; 0 for the tower as it is.

    Attributes:
        average: The averaged weights, in the tower's form; they begin as the tower's.
    """

    def __init__(self, tower: nn.Module, momentum: float) -> None:
        super().__init__()
        self.momentum = momentum
        shared: dict[int, Any] = {id(values): values for values in tower.buffers()}
        self.average = copy.deepcopy(tower, shared).requires_grad_(False)
        self.train(False)

    def train(self, mode: bool = True) -> KeyEncoder:
        """Stays as it is, without dropout, whatever the model does."""
        return super().train(False)

    @torch.no_grad()
    def follow(self, tower: nn.Module) -> None:
        """Take a step towards the tower's weights."""
        for average, current in zip(self.average.parameters(), tower.parameters(), strict=True):
            average.lerp_(current, 1 - self.momentum)

    @torch.no_grad()
    def forward(self, ids: Tensor) -> Tensor:
        """Ids ``[...]`` to vectors ``[..., d]``, before the scorer."""
        vectors: Tensor = self.average(ids)
        return vectors
