"""A user tower without a table of users: what a user had before, pooled."""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.bags import mean_of_bags, mean_weights
from recbole_logq.modules.feature_embedding import FeatureEmbedding
from recbole_logq.modules.history_times import HistoryTimes, SeenTimes
from recbole_logq.modules.tower import layers_on_top

NOTHING = SeenTimes(None, None, None)


class HistoryTower(nn.Module):
    """Histories to vectors: their items' embeddings pooled, and an optional MLP on top (Covington et al. 2016).

    The number of users costs no parameter, and a user who was never trained on has a vector like any other.

    Args:
        embedding_size: Size of the item embedding.
        mlp_sizes: As for :class:`~recbole_logq.modules.tower.Tower`.
        dropout: Share of the pooled vector dropped before the MLP.
        attention_length: Longest history of attention pooling; None for the mean.
        times: What is learned of the times of a history; None for nothing.

    Attributes:
        empty: What stands for a history without items; a parameter, ``[embedding_size]``.
    """

    def __init__(
        self,
        embedding_size: int,
        mlp_sizes: Sequence[int] = (),
        dropout: float = 0.0,
        attention_length: int | None = None,
        times: HistoryTimes | None = None,
    ) -> None:
        super().__init__()
        self.empty = nn.Parameter(torch.empty(embedding_size))
        nn.init.normal_(self.empty, std=embedding_size**-0.5)
        self.mlp = layers_on_top(embedding_size, mlp_sizes, dropout)
        self.attention = Attention(embedding_size, attention_length) if attention_length else None
        self.times = times

    def forward(
        self,
        history: Tensor,
        table: nn.Embedding | FeatureEmbedding,
        added: Tensor | None = None,
        times: Tensor | None = None,
        request_time: Tensor | None = None,
    ) -> Tensor:
        """User vectors, ``[rows, size]``.

        Args:
            history: Item ids ``[rows, length]``, 0 where padded, on whichever side (on the right where times are read);
                for the mean the order does not matter.
            table: Embedding of the items. It is handed in, not owned, so that it can be the item tower's.
            added: What else is known of a row, added before the MLP, ``[rows, embedding_size]``.
            times: Times of the items and of the one before them, where the tower reads them, ``[rows, length + 1]``.
            request_time: Time of each request, ``[rows]``, where the tower knows it.
        """
        size = (history > 0).sum(dim=1)
        seen = NOTHING
        if self.times is not None:
            assert times is not None
            seen = self.times(times, size, request_time)
        if self.times is None and self.attention is None and isinstance(table, nn.Embedding):
            pooled = mean_of_bags(history, table)
        else:
            pooled = self._pool(history, table, seen)
        vectors = torch.where((size == 0).unsqueeze(1), self.empty, pooled)
        for further in (seen.since, added):
            vectors = vectors if further is None else vectors + further
        return self.mlp(vectors)

    def _pool(self, history: Tensor, table: nn.Embedding | FeatureEmbedding, seen: SeenTimes) -> Tensor:
        vectors, index = _looked_up(table, history)
        if self.attention is None:
            weight = mean_weights(history, vectors.dtype)
        else:
            further = [] if seen.ago is None else [seen.ago]
            if self.times is not None and seen.gaps is not None:
                further.append(self.times.scores_of_gaps(seen.gaps, self.attention.query))
            weight = self.attention(vectors, index, history > 0, further)
        weight = weight.to(vectors.dtype)
        # Summed as it is read: nothing of [rows, length, d] exists.
        pooled = F.embedding_bag(index, vectors, mode="sum", per_sample_weights=weight)
        if self.times is None or seen.gaps is None:
            return pooled
        return pooled + self.times.pooled_gaps(seen.gaps, weight)


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

    def forward(self, vectors: Tensor, index: Tensor, real: Tensor, further: Sequence[Tensor] = ()) -> Tensor:
        """Weights ``[rows, length]`` that sum to 1 over what is real; 0 elsewhere.

        Args:
            vectors: ``[n, size]``.
            index: Row of the vectors for each item, int64 ``[rows, length]``.
            real: What is an item and no padding, bool ``[rows, length]``.
            further: Scores that are added, ``[rows, length]`` each.
        """
        order = real.cumsum(dim=1)
        from_end = (order[:, -1:] - order).clamp_max(len(self.recency) - 1)
        scores = (vectors @ self.query)[index] + self.recency[from_end]
        for added in further:
            scores = scores + added
        lowest = torch.finfo(scores.dtype).min  # not -inf, of which a row without items has no softmax
        return scores.masked_fill(~real, lowest).softmax(dim=1) * real


def _looked_up(table: nn.Embedding | FeatureEmbedding, ids: Tensor) -> tuple[Tensor, Tensor]:
    if isinstance(table, FeatureEmbedding):
        return table.looked_up(ids)
    if ids.numel() > table.num_embeddings and not table.sparse:
        return table.weight, ids
    return table(ids.flatten()), torch.arange(ids.numel(), device=ids.device).view(ids.shape)
