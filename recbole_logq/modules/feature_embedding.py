"""Ids with fields, where an embedding knows ids alone; torch only."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recbole_logq.modules.embedding import id_table
from recbole_logq.modules.fields import EntityFields


class FeatureEmbedding(nn.Module):
    """The id's own vector and those of the entity's fields, added up.

    An id that training never sees has no vector of its own: what an untrained one was drawn as would be noise, so the
    entity is its fields alone. That the fields can stand alone is what ``id_dropout`` trains (Volkovs et al.,
    "DropoutNet", NeurIPS 2017).

    Args:
        fields: Fields of the entities; row 0 is padding.
        size: Size of the vectors.
        std: Standard deviation of the ids' vectors at the start.
        use_id: Whether ids have vectors of their own at all.
        sparse: Whether the gradient of those holds only the rows that were looked up.
        id_dropout: Share of the looked-up ids that go without theirs in training.
    """

    rows: Tensor

    def __init__(
        self,
        fields: EntityFields,
        size: int,
        std: float,
        *,
        use_id: bool = True,
        sparse: bool = False,
        id_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.fields, self.id_dropout, self.n_rows = fields, id_dropout, fields.n_rows
        self.ids = id_table(fields.n_rows, size, std, sparse) if use_id else None
        if self.ids is not None:
            rows = torch.arange(fields.n_rows, dtype=torch.int32) * fields.seen
            rows[0] = 0
            self.register_buffer("rows", rows)

    def forward(self, ids: Tensor) -> Tensor:
        """Ids ``[...]`` to vectors ``[..., size]``."""
        if ids.numel() > self.n_rows:
            return F.embedding(ids, self.whole())
        return self._encode(ids.flatten()).view(*ids.shape, -1)

    def looked_up(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Vectors ``[n, size]`` and the place of each of ids ``[...]`` among them: every entity is encoded once.

        Where there are more ids than entities, all entities are encoded; otherwise the ids as they come, since what is
        distinct among them is a number that an accelerator would have to be asked for.
        """
        if ids.numel() > self.n_rows:
            return self.whole(), ids
        return self._encode(ids.flatten()), torch.arange(ids.numel(), device=ids.device).view(ids.shape)

    def whole(self) -> Tensor:
        """Vectors of all entities, ``[entities, size]``."""
        return self._encode(torch.arange(self.n_rows, device=next(self.parameters()).device))

    def _encode(self, ids: Tensor) -> Tensor:
        vectors = self.fields.of(ids)
        if self.ids is None:
            return vectors
        rows = self.rows[ids].long()
        if self.training and self.id_dropout:
            rows = rows.masked_fill(torch.rand(rows.shape, device=rows.device) < self.id_dropout, 0)
        return vectors + self.ids(rows)
