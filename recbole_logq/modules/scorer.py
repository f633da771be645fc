"""The score of a query and an item: dot product or cosine, over a temperature."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Scorer(nn.Module):
    """Prepares vectors so that their plain dot product is the score.

    The temperature goes into the query, where it costs ``[rows, d]`` instead of ``[rows, pool]`` multiplications, and
    before any log Q is subtracted from the score.

    Args:
        similarity: ``dot`` or ``cosine``.
        temperature: What scores are divided by.
    """

    def __init__(self, similarity: str = "dot", temperature: float = 1.0) -> None:
        super().__init__()
        if similarity not in {"dot", "cosine"}:
            raise ValueError(f"similarity={similarity!r}: dot or cosine")
        if not temperature > 0:
            raise ValueError(f"temperature={temperature}: must be above 0")
        self.cosine = similarity == "cosine"
        self.temperature = temperature

    def query(self, vectors: Tensor) -> Tensor:
        """Queries ``[..., d]``, normalised if cosine, divided by the temperature."""
        if self.cosine:
            vectors = F.normalize(vectors, dim=-1)
        return vectors if self.temperature == 1.0 else vectors / self.temperature

    def item(self, vectors: Tensor) -> Tensor:
        """Items ``[..., d]``, normalised if cosine."""
        return F.normalize(vectors, dim=-1) if self.cosine else vectors
