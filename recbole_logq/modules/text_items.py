"""Vectors of items of which texts alone are known, in a model and in its exported folder; torch only."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from recbole_logq.modules.fields import Fields
from recbole_logq.modules.unit_vectors import unit_vectors


class TextItems(nn.Module):
    """The item tower without ids and other features.

    Args:
        texts: Texts that it reads.
        unknown: What stands for features of which nothing is known, ``[size]``: those of nobody.
        mlp: Layers on top.
        cosine: Whether the score is a cosine.
    """

    unknown: Tensor

    def __init__(self, texts: Fields, unknown: Tensor, mlp: nn.Module, cosine: bool) -> None:
        super().__init__()
        self.texts, self.mlp, self.cosine = texts, mlp, cosine
        self.register_buffer("unknown", unknown)

    def forward(self, bags: Sequence[Tensor]) -> Tensor:
        """Vectors ``[rows, d]``, prepared for the scorer.

        Args:
            bags: Buckets of the parts of each text, int64 ``[rows, longest]``, as
                :class:`~recbole_logq.modules.text.TextHasher` gives them; in the order of the columns.
        """
        vectors = self.mlp(self.texts(bags) + self.unknown)
        return unit_vectors(vectors) if self.cosine else vectors
