"""The losses of a step's rows from several pools at once; torch only."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor
from torch.nn import functional

from recbole_logq.losses.loss import Loss
from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.losses.terms import Terms
from recbole_logq.samplers.pools import Pools
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.samplers.table_law import TableLaw


def takes_pools(loss: Loss, sampler: Sampler) -> bool:
    """Whether `pooled_losses` serves a loss and a source."""
    return sampler.takes_pools and isinstance(loss, SampledSoftmaxLoss)


def pooled_losses(
    loss: SampledSoftmaxLoss,
    pools: Pools,
    query: Tensor,
    positives: Tensor,
    vectors_of: Callable[[Tensor], Tensor],
    hits: str,
    windows: Tensor | None = None,
    real: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """The loss of every row against the pool that serves it, rows next to each other sharing one.

    All pools are looked up, scored and masked together: the number of operations does not depend on theirs.

    Args:
        loss: A sampled-softmax loss.
        pools: Pools of the step.
        query: `[rows, d]`, already divided by the temperature.
        positives: int64 `[rows]`.
        vectors_of: Function from ids `[n]` to vectors `[n, d]`.
        hits: Treatment of accidental hits, "masked" or "kept".
        windows: int64 `[rows]`, rows that come together, as in `valid_columns`; None for rows by themselves.
        real: bool `[rows]`, rows that are no padding. Default: all.

    Returns:
        The losses `[rows]`, 0 for padding, and bool `[rows]`, the rows that count.
    """
    n_pools, rows = len(pools.ids), len(positives)
    share = -(-rows // n_pools)
    missing = n_pools * share - rows
    if missing:
        query, positives = functional.pad(query, (0, 0, 0, missing)), functional.pad(positives, (0, missing))
        windows = None if windows is None else functional.pad(windows, (0, missing), value=-2)
    shape = (n_pools, share)
    # One look-up for positives and pools: its gradient is one operation too.
    ids = torch.cat([positives, pools.ids.flatten()])
    vectors = vectors_of(ids)
    positive, columns = vectors[: len(positives)], vectors[len(positives) :]
    terms = Terms(valid=pools.mask(positives, hits, windows))
    if loss.needs_log_q:
        log_q = pools.law(ids)
        of_positives, of_columns = log_q[: len(positives)], log_q[len(positives) :].view_as(pools.ids)
        log_rest = pools.law.rest(positives) if isinstance(pools.law, TableLaw) else None
        terms = replace(terms, positive_log_q=of_positives, negative_log_q=of_columns, log_rest=log_rest)
    positive, columns = positive.unflatten(0, shape), columns.unflatten(0, (n_pools, -1))  # [pools, rows or n, d]
    values, counts = loss.from_pools(query.unflatten(0, shape), positive, columns, terms)
    values, counted = values[:rows], counts[:rows] > 0
    if real is None:
        return values, counted
    return values.masked_fill(~real, 0.0), counted & real
