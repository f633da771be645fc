"""A user tower without a table of users: the mean of what a user had before."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.tower import layers_on_top


class HistoryTower(nn.Module):
    """Histories to vectors: the mean of their items' embeddings, and an optional MLP on top (Covington et al. 2016).

    The number of users costs no parameter, and a user who was never trained on has a vector like any other.

    Args:
        embedding_size: Size of the item embedding.
        mlp_sizes: As for :class:`~recbole_logq.modules.tower.Tower`.
        dropout: Share of the mean dropped before the MLP.

    Attributes:
        empty: What stands for the mean of a history without items; a parameter, ``[embedding_size]``.
    """

    def __init__(self, embedding_size: int, mlp_sizes: Sequence[int] = (), dropout: float = 0.0) -> None:
        super().__init__()
        self.empty = nn.Parameter(torch.empty(embedding_size))
        nn.init.normal_(self.empty, std=embedding_size**-0.5)
        self.mlp = layers_on_top(embedding_size, mlp_sizes, dropout)

    def forward(self, history: Tensor, table: nn.Embedding) -> Tensor:
        """User vectors, ``[rows, size]``.

        Args:
            history: Item ids ``[rows, length]``, 0 where padded, on whichever side; the order does not matter.
            table: Of the items. It is handed in, not owned, so that it can be the item tower's.
        """
        size = (history > 0).sum(dim=1)
        # A graph of the encoder has no sizes that depend on the data.
        ragged = history.device.type == "cpu" and not torch.compiler.is_exporting()
        mean = (mean_of_real if ragged else mean_by_weight)(history, table)
        return self.mlp(torch.where((size == 0).unsqueeze(1), self.empty, mean))


def mean_of_real(history: Tensor, table: nn.Embedding) -> Tensor:
    """Mean of the embeddings of ``[rows, length]`` ids without the zeros; 0 where there are none.

    Summed as it is read: nothing of [rows, length, d] exists, in the backward pass neither. Padding is taken out
    beforehand, because bags of a padding_idx take torch's slow kernel and give it a gradient entry.
    """
    real = history > 0
    size = real.sum(dim=1)
    return F.embedding_bag(history[real], table.weight, size.cumsum(0) - size, mode="mean", sparse=table.sparse)


def mean_by_weight(history: Tensor, table: nn.Embedding) -> Tensor:
    """The same with padding as items of weight 0: more to read, and nobody asks an accelerator how many are real."""
    weight = (history > 0).to(table.weight.dtype)
    weight = weight / weight.sum(dim=1, keepdim=True).clamp_min(1.0)
    return F.embedding_bag(history, table.weight, mode="sum", sparse=table.sparse, per_sample_weights=weight)
