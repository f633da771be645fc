"""The loss of one step from its pool, in one stage or two; torch only."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.losses.base import Loss
from recbole_logq.losses.precision import no_autocast, working_dtype
from recbole_logq.losses.scores import pool_scores
from recbole_logq.losses.terms import MaskFunction
from recbole_logq.samplers.base import Sampler
from recbole_logq.samplers.pool import Pool, PoolTerms


def losses_from_vectors(
    loss: Loss,
    sampler: Sampler,
    pool: Pool,
    query: Tensor,
    positive: Tensor,
    pool_vectors: Tensor,
    valid: Tensor | MaskFunction | None,
    terms: PoolTerms,
) -> Tensor:
    """The loss of every row, `[rows]`; what training calls.

    Args:
        loss, sampler: A loss and a sampler that fit each other (`Sampler.check_loss`).
        pool: The pool of this step.
        query: `[rows, d]`, already divided by the temperature.
        positive: `[rows, d]`.
        pool_vectors: `[pool, d]`, or `[rows, pool, d]` for a pool of its own per row.
        valid: bool `[rows, pool]`, from `valid_columns`; for a shared pool that is drawn once also the function.
        terms: What `Pool.terms` gave.
    """
    if pool.ids.dim() == 1 and not sampler.resamples:
        return loss.from_vectors(query, positive, pool_vectors, valid=valid, **terms)
    assert valid is None or isinstance(valid, Tensor)
    dtype = working_dtype(query, positive, pool_vectors)
    query, positive, pool_vectors = query.to(dtype), positive.to(dtype), pool_vectors.to(dtype)
    with no_autocast(query):
        if pool.ids.dim() == 2:
            negatives = pool_scores(query.unsqueeze(1), pool_vectors).squeeze(1)
        else:
            negatives = pool_scores(query, pool_vectors)
        return losses_from_scores(loss, sampler, pool, (query * positive).sum(dim=1), negatives, valid, terms)


def losses_from_scores(
    loss: Loss,
    sampler: Sampler,
    pool: Pool,
    positive: Tensor,
    negatives: Tensor,
    valid: Tensor | None,
    terms: PoolTerms,
) -> Tensor:
    """The same from scores: `[rows]` and `[rows, pool]`, with the mask as a tensor."""
    if not sampler.resamples:
        return loss(positive, negatives, valid=valid, **terms)
    if valid is None:
        valid = torch.ones_like(negatives, dtype=torch.bool)
    fixed = negatives.detach()
    log_count = sampler.resample(fixed, pool, valid)
    terms = sampler.resampled_terms(terms, fixed, valid)
    valid = valid & ~log_count.isneginf()
    # A column that counts twice is one whose exponential is taken twice.
    counted = negatives + log_count.masked_fill(~valid, 0.0)
    if pool.groups is None:
        return loss(positive, counted, valid=valid, **terms)
    values = torch.zeros_like(positive)
    for columns, weight in pool.groups:
        # What is resampled in groups is uncorrected: no log Q to cut.
        values = values + weight * loss(positive, counted[:, columns], valid=valid[:, columns])
    return values
