"""A user tower without a table of users: what a user had before, pooled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.bags import mean_of_bags, mean_weights
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.tower import layers_on_top


class HistoryTower(nn.Module):
    """Histories to vectors: their items' embeddings pooled, and an optional MLP on top (Covington et al. 2016).

    The number of users costs no parameter, and a user who was never trained on has a vector like any other.

    Args:
        embedding_size: Size of the item embedding.
        mlp_sizes: As for :class:`~recbole_logq.modules.tower.Tower`.
        dropout: Share of the pooled vector dropped before the MLP.
        attention_length: Longest history of attention pooling; None for the mean.

    Attributes:
        empty: What stands for a history without items; a parameter, ``[embedding_size]``.
    """

    def __init__(
        self,
        embedding_size: int,
        mlp_sizes: Sequence[int] = (),
        dropout: float = 0.0,
        attention_length: int | None = None,
    ) -> None:
        super().__init__()
        self.empty = nn.Parameter(torch.empty(embedding_size))
        nn.init.normal_(self.empty, std=embedding_size**-0.5)
        self.mlp = layers_on_top(embedding_size, mlp_sizes, dropout)
        self.attention = Attention(embedding_size, attention_length) if attention_length else None

    def forward(self, history: Tensor, table: nn.Embedding | FeatureEmbedding, added: Tensor | None = None) -> Tensor:
        """User vectors, ``[rows, size]``.

        Args:
            history: Item ids ``[rows, length]``, 0 where padded, on whichever side; for the mean the order does not
                matter.
            table: Embedding of the items. It is handed in, not owned, so that it can be the item tower's.
            added: What else is known of a row, added before the MLP, ``[rows, embedding_size]``.
        """
        size = (history > 0).sum(dim=1)
        if self.attention is None and isinstance(table, nn.Embedding):
            pooled = mean_of_bags(history, table)
        else:
            pooled = self._pool(history, table)
        vectors = torch.where((size == 0).unsqueeze(1), self.empty, pooled)
        return self.mlp(vectors if added is None else vectors + added)

    def _pool(self, history: Tensor, table: nn.Embedding | FeatureEmbedding) -> Tensor:
        vectors, index = _looked_up(table, history)
        if self.attention is None:
            weight = mean_weights(history, vectors.dtype)
        else:
            weight = self.attention(vectors, index, history > 0)
        # Summed as it is read: nothing of [rows, length, d] exists.
        return F.embedding_bag(index, vectors, mode="sum", per_sample_weights=weight.to(vectors.dtype))


class Attention(nn.Module):
    """Weights of a history's items: a learned query against each, and how far from the end it is.

    Pooling by a learned query as in Yang et al., "Hierarchical Attention Networks", NAACL 2016, without its hidden
    layer; it starts as the mean.

    Args:
        size: Size of the items' vectors.
        length: Longest history.
    """

    def __init__(self, size: int, length: int) -> None:
        super().__init__()
        self.query = nn.Parameter(torch.zeros(size))
        self.recency = nn.Parameter(torch.zeros(length))

    def forward(self, vectors: Tensor, index: Tensor, real: Tensor) -> Tensor:
        """Weights ``[rows, length]`` that sum to 1 over what is real; 0 elsewhere.

        Args:
            vectors: ``[n, size]``.
            index: Row of the vectors for each item, int64 ``[rows, length]``.
            real: What is an item and no padding, bool ``[rows, length]``.
        """
        order = real.cumsum(dim=1)
        from_end = (order[:, -1:] - order).clamp_max(len(self.recency) - 1)
        scores = (vectors @ self.query)[index] + self.recency[from_end]
        lowest = torch.finfo(scores.dtype).min  # not -inf, of which a row without items has no softmax
        return scores.masked_fill(~real, lowest).softmax(dim=1) * real


def _looked_up(table: nn.Embedding | FeatureEmbedding, ids: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(table, FeatureEmbedding):
        return table.looked_up(ids)
    if ids.numel() > table.num_embeddings and not table.sparse:
        return table.weight, ids
    return table(ids.flatten()), torch.arange(ids.numel(), device=ids.device).view(ids.shape)
