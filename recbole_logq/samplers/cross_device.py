"""In-batch negatives of all processes of a distributed run."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from recbole_logq.ranks import gather_rows
from recbole_logq.registry import samplers
from recbole_logq.samplers.in_batch import InBatch
from recbole_logq.samplers.pool import Pool


@samplers.register("cross_device", summary="in-batch over all processes of a distributed run; Q as in_batch")
class CrossDevice(InBatch):
    """`count` positions of the global batch, the same ones on every rank; with one process the same as `in_batch`.

    Ranks gather ids, which is all that towers over ids need: each looks the vectors up in its own copy of the tables,
    and the gradients of the copies are averaged like any other. A row's own column is known by its origin, so that
    equal items of other ranks' rows stay what they are: accidental hits.

    Every rank must construct the sampler with the same seed. With `mean_over_rows` of `recbole_logq.losses`, ranks
    together have the loss and the gradient of one process on the global batch.

    When to use: when rows gather the positives of several processes themselves, in code outside this package's models.

    Goes with: the losses of `in_batch`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("cross_device")(counts, count=4, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 2, 1, 3]), tensor([0.5000, 0.3000, 0.5000, 0.1000]))
    """

    name = "cross_device"
    reads = ()
    random_batches = True
    gathers: ClassVar[bool] = True

    def sample(self, positives: Tensor, *, n_units: int | None = None, segment: int | Tensor | None = None) -> Pool:
        """As `Sampler.sample`; a collective call where several processes run."""
        gathered = gather_rows(positives)
        own = torch.arange(len(positives), device=positives.device) + gathered.first
        return super().sample(gathered.rows, n_units=n_units).seen_from(own, len(gathered.rows))
