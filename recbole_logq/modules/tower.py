"""A tower: an embedding of ids, or of ids with fields, with an optional MLP on top."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from recbole_logq.modules.dropout import Dropout
from recbole_logq.modules.embedding import id_table
from recbole_logq.modules.feature_embedding import FeatureEmbedding


class Tower(nn.Module):
    """Ids to vectors (Huang et al., DSSM, CIKM 2013).

    Args:
        n_ids: Rows of the table; row 0 is padding.
        embedding_size: Size of the id embedding.
        mlp_sizes: Widths of the layers on top, ReLU between them and none after the last; empty for a plain table
            (two plain tables are matrix factorisation).
        dropout: Share of the embedding dropped before the MLP.
        sparse: Whether the table's gradient holds only the rows that were looked up.
        embedding: Embedding to use in place of a table of ids.
    """

    embedding: nn.Embedding | FeatureEmbedding

    def __init__(
        self,
        n_ids: int,
        embedding_size: int,
        mlp_sizes: Sequence[int] = (),
        dropout: float = 0.0,
        sparse: bool = False,
        embedding: FeatureEmbedding | None = None,
    ) -> None:
        super().__init__()
        self.embedding = embedding or id_table(n_ids, embedding_size, embedding_size**-0.5, sparse)
        self.mlp = layers_on_top(embedding_size, mlp_sizes, dropout)

    def forward(self, ids: Tensor, added: Tensor | None = None) -> Tensor:
        """Ids ``[...]`` to vectors ``[..., size]``.

        Args:
            ids: Int64.
            added: What else is known of a row, added before the MLP, ``[..., embedding_size]``.
        """
        vectors = self.embedding(ids)
        return self.mlp(vectors if added is None else vectors + added)


def layers_on_top(size: int, widths: Sequence[int], dropout: float) -> nn.Sequential:
    """The MLP of a tower: inputs of ``size`` dropped, then layers of ``widths``; the identity if there are none."""
    layers: list[nn.Module] = [Dropout(dropout)] if dropout else []
    for position, width in enumerate(widths):
        layers += [nn.ReLU()] if position else []
        layers.append(nn.Linear(size, width))
        size = width
    return nn.Sequential(*layers)
