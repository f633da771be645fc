"""A table of vectors by id; torch only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


class IdTable(nn.Embedding):
    """As ``nn.Embedding``, whose sparse gradient no host waits for.

    torch takes the entries of padding out of a sparse gradient, and the host waits for their number. On an accelerator
    they stay here, as zeros.
    """

    def forward(self, ids: Tensor) -> Tensor:
        """Vectors ``[..., size]`` of int64 ``[...]``."""
        if not self.sparse or ids.device.type == "cpu":
            return super().forward(ids)
        vectors: Tensor = _LookUp.apply(self.weight, ids, self.padding_idx)
        return vectors


class _LookUp(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, table: Tensor, ids: Tensor, padding: int | None) -> Tensor:
        ctx.save_for_backward(ids)
        ctx.shape, ctx.padding = table.shape, padding
        return table[ids]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (ids,) = ctx.saved_tensors
        rows, values = ids.flatten(), gradient.reshape(-1, ctx.shape[1])
        if ctx.padding is not None:
            values = values.masked_fill((rows == ctx.padding).unsqueeze(1), 0.0)
        return torch.sparse_coo_tensor(rows.unsqueeze(0), values, ctx.shape, check_invariants=False), None, None


def id_table(n_ids: int, size: int, std: float, sparse: bool) -> IdTable:
    """Vectors drawn from a normal distribution; row 0 is padding and zero.

    Args:
        n_ids: Rows, the padding included.
        size: Size of the vectors.
        std: Standard deviation.
        sparse: Whether the gradient holds only the rows that were looked up.
    """
    table = IdTable(n_ids, size, padding_idx=0, sparse=sparse)
    nn.init.normal_(table.weight, std=std)
    nn.init.zeros_(table.weight[0].detach())
    return table
