"""Scalable cross entropy: the catalogue's hardest items by random projections, instead of all or of a sample."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from recbole_logq.losses.loss import Loss
from recbole_logq.losses.score_logsumexp import MASKED_SCORE, score_logsumexp
from recbole_logq.losses.scores import pool_scores
from recbole_logq.losses.softmax import softplus
from recbole_logq.losses.terms import Terms
from recbole_logq.registry import losses
from recbole_logq.transfer import to_device

_BLOCK_ELEMENTS = 2**24
"""Projections of the catalogue that exist at a time: 64 MB of float32."""


@losses.register("sce", summary="cross entropy inside random buckets of near states and items (Mezentsev et al. 2024)")
class SCE(Loss, nn.Module):
    """`softplus(LSE over the bucket - s+)`, the bucket found by random directions (RecSys 2024, algorithm 1).

    A direction is a random mixture of the step's queries. The `bucket_rows` queries and the `bucket_items` items with
    the largest projections on it make a bucket: items that score high for these rows are likely among them. A bucket's
    loss is a lower bound of the row's cross entropy, so of several buckets that hold a row the largest counts, and a
    row in no bucket is left out (its loss is 0). No log Q: hard items are chosen, not drawn.

    On scores alone there is nothing to project and the bucket is everything: the cross entropy itself. It owns its
    random generator, which is part of `state_dict`.

    When to use: for large catalogues whose hardest items matter, without any estimate of Q.

    Goes with: `catalogue`; the buckets are chosen from all items.

    Example:
        >>> from recbole_logq.losses import get_loss
        >>> query, items = torch.eye(2, 4), torch.eye(4)
        >>> sce = get_loss("sce", buckets=2, bucket_rows=2, bucket_items=2)
        >>> sce.from_vectors(query, items[:2], items, positive_column=torch.tensor([0, 1]))
        tensor([0.5514, 0.5514])

    Args:
        buckets: Number of directions. Default: 2 sqrt(rows), rounded up.
        bucket_rows: Queries in a bucket. Default: the same.
        bucket_items: Items in a bucket.
        seed: Seed of the directions.

    Raises:
        ValueError: A size is smaller than 1.
    """

    name = "sce"
    needs_log_q = False
    hits = "masked"
    over_catalogue = True
    skips_rows = True

    def __init__(
        self, buckets: int | None = None, bucket_rows: int | None = None, bucket_items: int = 256, seed: int = 0
    ) -> None:
        nn.Module.__init__(self)
        for option, value in (("buckets", buckets), ("bucket_rows", bucket_rows), ("bucket_items", bucket_items)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"loss 'sce': {option} must be a whole number above 0, got {value!r}")
        self.buckets, self.bucket_rows, self.bucket_items = buckets, bucket_rows, bucket_items
        self.generator = torch.Generator().manual_seed(seed)

    def score_form(self, positive: Tensor, negatives: Tensor, terms: Terms) -> Tensor:
        lse, _ = score_logsumexp(negatives, None, terms.mask(self.name, 0, *negatives.shape))
        return softplus(lse - positive)

    def vector_form(
        self, query: Tensor, positive: Tensor, pool_vectors: Tensor, terms: Terms, block_rows: int
    ) -> Tensor:
        rows, items = len(query), len(pool_vectors)
        score = (query * positive).sum(dim=1)
        value = torch.zeros_like(score)
        if not rows or not items:
            return value * score
        by_default = math.ceil(2 * math.sqrt(rows))
        n_rows, n_items = min(self.bucket_rows or by_default, rows), min(self.bucket_items, items)
        mixtures = torch.randn(self.buckets or by_default, rows, generator=self.generator)
        directions = to_device(mixtures, query.device).to(query.dtype) @ query.detach()
        valid = terms.mask(self.name, 0, rows, items)
        for part in directions.split(max(_BLOCK_ELEMENTS // items, 1)):
            row = (part @ query.detach().T).topk(n_rows, sorted=False).indices  # [buckets, bucket_rows]
            item = (part @ pool_vectors.detach().T).topk(n_items, sorted=False).indices  # [buckets, bucket_items]
            logits = pool_scores(query[row], pool_vectors[item])
            masked = None if valid is None else ~valid[row.unsqueeze(2), item.unsqueeze(1)]
            if terms.positive_column is not None:
                own = item.unsqueeze(1) == terms.positive_column[row].unsqueeze(2)
                masked = own if masked is None else masked | own
            if masked is not None:
                logits = logits.masked_fill(masked, MASKED_SCORE)
            inside = softplus(logits.logsumexp(dim=2) - score[row])
            value = value.scatter_reduce(0, row.flatten(), inside.flatten(), "amax")
        return value

    def get_extra_state(self) -> dict[str, Tensor]:
        """State of the generator, for the checkpoint."""
        return {"generator": self.generator.get_state()}

    def set_extra_state(self, state: Any) -> None:
        """Continues the directions of a checkpoint."""
        self.generator.set_state(state["generator"].cpu())
