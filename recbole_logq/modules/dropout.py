"""Dropout that does not take a tenth of a training step on the CPU; torch only."""

from __future__ import annotations

import torch
from torch import Tensor, nn

LEVELS = 1 << 16


class Dropout(nn.Module):
    """As ``nn.Dropout``, from four 16-bit draws a random number where torch's CPU kernel draws one for each element.

    The share is rounded to a multiple of 1/65,536, and what is left is scaled by the rounded one, so that the mean is
    kept exactly. On other devices it is torch's own kernel.

    Args:
        p: Share of the elements that become 0 in training.

    Raises:
        ValueError: p is not from 0 to below 1.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise ValueError(f"dropout={p}: from 0 to below 1")
        self.p = p

    def forward(self, values: Tensor) -> Tensor:
        """Values of any shape, floating."""
        if not self.training or not self.p:
            return values
        if values.device.type != "cpu":
            return torch.native_dropout(values, self.p, True)[0]  # one kernel, as F.dropout takes on a GPU
        dropped = min(round(self.p * LEVELS), LEVELS - 1)
        numbers = torch.empty(-(-values.numel() // 4), dtype=torch.int64).random_(-(2**63), None)
        draws = numbers.view(torch.int16)[: values.numel()].view(values.shape)
        return values * (draws >= dropped - LEVELS // 2).to(values.dtype).mul_(LEVELS / (LEVELS - dropped))

    def extra_repr(self) -> str:
        """What printing the module shows."""
        return f"p={self.p}"
