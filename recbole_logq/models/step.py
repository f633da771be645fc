"""The loss of one step from its pool, in one stage or two; torch only."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from recbole_logq.losses.loss import Loss
from recbole_logq.losses.precision import no_autocast, working_dtype
from recbole_logq.losses.scores import pool_scores
from recbole_logq.losses.terms import Terms
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler


def losses_from_vectors(
    loss: Loss, sampler: Sampler, pool: Pool, query: Tensor, positive: Tensor, pool_vectors: Tensor, terms: Terms
) -> Tensor:
    """The loss of every row, `[rows]`; what training calls.

    Args:
        loss, sampler: A loss and a sampler that fit each other (`Sampler.check_loss`).
        pool: The pool of this step.
        query: `[rows, d]`, already divided by the temperature.
        positive: `[rows, d]`.
        pool_vectors: `[pool, d]`, or `[rows, pool, d]` for a pool of its own per row.
        terms: What `Pool.terms` gave.
    """
    if pool.ids.dim() == 1 and not sampler.resamples:
        return loss.from_vectors(query, positive, pool_vectors, terms)
    dtype = working_dtype(query, positive, pool_vectors)
    query, positive, pool_vectors = query.to(dtype), positive.to(dtype), pool_vectors.to(dtype)
    with no_autocast(query):
        if pool.ids.dim() == 2:
            negatives = pool_scores(query.unsqueeze(1), pool_vectors).squeeze(1)
        else:
            negatives = pool_scores(query, pool_vectors)
        return losses_from_scores(loss, sampler, pool, (query * positive).sum(dim=1), negatives, terms)


def losses_from_scores(
    loss: Loss, sampler: Sampler, pool: Pool, positive: Tensor, negatives: Tensor, terms: Terms
) -> Tensor:
    """The same from scores: `[rows]` and `[rows, pool]`."""
    if not sampler.resamples:
        return loss(positive, negatives, terms)
    valid = terms.mask(loss.name, 0, *negatives.shape)
    if valid is None:
        valid = torch.ones_like(negatives, dtype=torch.bool)
    fixed = negatives.detach()
    log_count = sampler.resample(fixed, pool, valid)
    terms = sampler.resampled_terms(replace(terms, valid=valid), fixed)
    valid = valid & ~log_count.isneginf()
    terms = replace(terms, valid=valid)
    # A column that counts twice is one whose exponential is taken twice.
    counted = negatives + log_count.masked_fill(~valid, 0.0)
    if pool.groups is None:
        return loss(positive, counted, terms)
    values = torch.zeros_like(positive)
    for columns, weight in pool.groups:
        # What is resampled in groups is uncorrected: no log Q to cut.
        values = values + weight * loss(positive, counted[:, columns], Terms(valid=valid[:, columns]))
    return values
