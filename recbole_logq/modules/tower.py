"""A tower: an id embedding with an optional MLP on top."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from recbole_logq.modules.dropout import Dropout


class Tower(nn.Module):
    """Ids to vectors (Huang et al., DSSM, CIKM 2013, with ids for features).

    Args:
        n_ids: Rows of the table; row 0 is padding.
        embedding_size: Size of the id embedding.
        mlp_sizes: Widths of the layers on top, ReLU between them and none after the last; empty for a plain table
            (two plain tables are matrix factorisation).
        dropout: Share of the embedding dropped before the MLP.
        sparse: Whether the table's gradient holds only the rows that were looked up.
    """

    def __init__(
        self, n_ids: int, embedding_size: int, mlp_sizes: Sequence[int] = (), dropout: float = 0.0, sparse: bool = False
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_ids, embedding_size, padding_idx=0, sparse=sparse)
        nn.init.normal_(self.embedding.weight, std=embedding_size**-0.5)
        nn.init.zeros_(self.embedding.weight[0].detach())
        self.mlp = layers_on_top(embedding_size, mlp_sizes, dropout)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids ``[...]`` to vectors ``[..., size]``."""
        return self.mlp(self.embedding(ids))


def layers_on_top(size: int, widths: Sequence[int], dropout: float) -> nn.Sequential:
    """The MLP of a tower: inputs of ``size`` dropped, then layers of ``widths``; the identity if there are none."""
    layers: list[nn.Module] = [Dropout(dropout)] if dropout else []
    for position, width in enumerate(widths):
        layers += [nn.ReLU()] if position else []
        layers.append(nn.Linear(size, width))
        size = width
    return nn.Sequential(*layers)
