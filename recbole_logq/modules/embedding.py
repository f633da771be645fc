"""A table of vectors by id; torch only."""

from __future__ import annotations

from torch import nn


def id_table(n_ids: int, size: int, std: float, sparse: bool) -> nn.Embedding:
    """Vectors drawn from a normal distribution; row 0 is padding and zero.

    Args:
        n_ids: Rows, the padding included.
        size: Size of the vectors.
        std: Standard deviation.
        sparse: Whether the gradient holds only the rows that were looked up.
    """
    table = nn.Embedding(n_ids, size, padding_idx=0, sparse=sparse)
    nn.init.normal_(table.weight, std=std)
    nn.init.zeros_(table.weight[0].detach())
    return table
