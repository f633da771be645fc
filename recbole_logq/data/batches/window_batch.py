"""A training batch of windows, without padding."""

from __future__ import annotations

from typing import Any

import torch
from recbole.data.interaction import Interaction

from recbole_logq.modules.fixed_packing import FixedPacking
from recbole_logq.modules.packing import Packing


class WindowBatch(Interaction):
    """Columns of ``[tokens]`` in the order of a packing.

    Args:
        columns: Tensors by field, all of shape ``[tokens]`` and on one device.
        packing: Packing of the windows.
        real: Tokens whose target is a training target, int64 ``[rows]``; None where all of them are. In a packing of
            fixed length all tokens are rows, and it says which of them count, bool ``[tokens]``.
    """

    def __init__(
        self, columns: dict[str, torch.Tensor], packing: Packing | FixedPacking, real: torch.Tensor | None
    ) -> None:
        super().__init__(columns)
        self.packing, self.real = packing, real

    def to(self, device: Any, selected_field: Any = None) -> WindowBatch:
        """The whole batch on a device; ``selected_field`` is RecBole's and has no use here."""
        device = torch.device(device)
        if device == self.packing.device or isinstance(self.packing, FixedPacking):
            return self
        columns = {field: column.to(device) for field, column in self.interaction.items()}
        real = None if self.real is None else self.real.to(device)
        return WindowBatch(columns, Packing(self.packing.lengths, device), real)
