"""In-batch negatives, and of them the hardest once more for every row."""

from __future__ import annotations

import math
from dataclasses import replace

import torch
from torch import Tensor

from recbole_logq.losses.terms import Terms
from recbole_logq.probability import TargetCounts, log1mexp
from recbole_logq.registry import samplers
from recbole_logq.samplers.bir import resampled
from recbole_logq.samplers.in_batch import InBatch
from recbole_logq.samplers.pool import Pool


@samplers.register("hard", summary="in-batch, and draws per row by the model's own softmax, weighted by the mixture")
class Hard(InBatch):
    """Every column of an in-batch pool once, and `hard` more draws per row from `softmax(s - log Q)` over the pool.

    Those draws follow, as far as the pool reaches, the model's own softmax P over the catalogue without the positive.
    So the n + h draws of a row are weighted by the mixture `(n Q'(d) + h P(d)) / (n + h)`, with P's normaliser
    estimated from the pool itself: hard ones come more often and count less, and what is estimated stays the same.

    Do not expect a better gradient. Given the pool, the mean over the hard draws is exactly the estimate that the
    pool gives without them, so they add a little variance and nothing else (`recbole-logq lab` shows it). It is the
    source for those who must draw hard negatives and still want the softmax; to emphasise hard ones, take `bir`.

    When to use: where hard negatives must be drawn and the softmax must still be what is estimated.

    Goes with: `corrected_logq`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> sampler = get_sampler("hard")(counts, count=4, seed=0, hard=2)
        >>> sampler.resample(torch.zeros(1, 4), sampler.sample(torch.tensor([1, 2, 1, 3]))).exp()  # 1 and the draws
        tensor([[1., 2., 1., 2.]])

    Args:
        hard: Draws per row, h.

    Raises:
        ValueError: `hard` is smaller than 1.
    """

    name = "hard"
    resamples = True
    corrected_by = "loss"  # hard draws without their Q would be hardness counted twice

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int, hard: int = 64) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.check_whole(hard=hard)
        self.hard = hard

    def negatives_of_row(self, pool: Pool) -> int:
        """As `Sampler.negatives_of_row`: every column, and the hard draws."""
        return len(pool.ids) + self.hard

    def resample(self, scores: Tensor, pool: Pool, valid: Tensor | None = None) -> Tensor:
        """As `Sampler.resample`: 1 for every column, and the hard draws on top."""
        return (1 + resampled(self, scores - pool.log_q_of(pool.ids), valid, self.hard)).log()

    def resampled_terms(self, terms: Terms, scores: Tensor) -> Terms:
        """As `Sampler.resampled_terms`: the mixture's law, per row, of the catalogue without what is excluded."""
        log_q, valid = terms.negative_log_q, terms.valid
        excluded = terms.positive_log_q if terms.excluded_log_q is None else terms.excluded_log_q
        assert log_q is not None
        assert excluded is not None
        assert isinstance(valid, Tensor)
        log_rest = log1mexp(excluded)
        nothing_left = log_rest.isneginf()
        log_base = log_q - log_rest.masked_fill(nothing_left, 0.0).to(scores.dtype).unsqueeze(1)
        log_n = valid.sum(dim=1, keepdim=True).clamp_min(1).to(scores.dtype).log()
        weight = (scores - log_base).masked_fill(~valid, -torch.inf)
        log_z = weight.logsumexp(dim=1, keepdim=True) - log_n  # of the partition function without the positive
        log_total = torch.logaddexp(log_n, torch.full_like(log_n, math.log(self.hard)))
        log_hard = scores - log_z.masked_fill(log_z.isneginf(), 0.0) + math.log(self.hard)
        mixture = torch.logaddexp(log_base + log_n, log_hard) - log_total
        return replace(
            terms,
            negative_log_q=mixture,
            # Both laws are renormalised already; a row from which everything is excluded stays empty.
            excluded_log_q=torch.full_like(excluded, -torch.inf).masked_fill(nothing_left, 0.0),
            log_n=log_total.squeeze(1),
        )
