"""What each column of a pool has of the softmax, read from the gradient that training computes anyway."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class ColumnShares:
    """Zeros that a loss adds to the scores of columns and to the losses of rows, for the sake of their gradients.

    The gradient of a row's loss in a column's score is the column's part of the row's estimated softmax. With columns
    weighted by 1 / pi, that is `p(d | u) / pi_d`, the Horvitz-Thompson estimate of the model's probability. Rows are
    divided out by the gradient of what is added to all of them, so it does not matter whether a step takes their sum or
    their mean, and with which weights.

    Args:
        columns: float32 `[pool]`, zeros that want a gradient.
        rows: float32 scalar, the same.
    """

    columns: Tensor
    rows: Tensor

    @classmethod
    def of_pool(cls, columns: int, device: torch.device) -> ColumnShares:
        """Shares of a pool that nothing is known of yet."""
        leaves = (torch.zeros(shape, device=device, requires_grad=True) for shape in ((columns,), ()))
        return cls(*leaves)

    @property
    def known(self) -> bool:
        """Whether a backward pass has been through the loss."""
        return self.columns.grad is not None and self.rows.grad is not None

    def sums(self) -> Tensor:
        """Sums over this process's rows: of every column's shares, and of the rows; float32 `[pool + 1]`."""
        leaves = (self.columns, self.rows)
        parts = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        return torch.cat([part.reshape(-1) for part in parts])
