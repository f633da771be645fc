"""In-batch negatives without duplicates."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts, log_inclusion_of_draws
from recbole_logq.registry import samplers
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.transfer import to_device


@samplers.register("in_batch_unique", summary="distinct items of the batch; Q = probability that the batch holds them")
class InBatchUnique(Sampler):
    """The distinct positives of the batch, at most `count` of them, each with its inclusion probability.

    `pi_d = 1 - (1 - f_d)^units` with f the share of units that hold the item. On a batch that covers much of the
    catalogue pi is nearly flat: weighting such a pool by frequencies would overcorrect. If only m of the S distinct
    ids are kept, at random, pi is multiplied by m / S. As a positive, an item without training targets has -inf.

    When to use: for batches that hold many items several times, where duplicates would waste columns.

    Goes with: `corrected_logq`, in its Horvitz-Thompson form; batches must be random.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("in_batch_unique")(counts, count=None, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 2, 3]), tensor([0.9375, 0.7599, 0.3439]))

    Buffers:
        log_unit_frequency: float32 `[n_items]`, log f.
    """

    name = "in_batch_unique"
    kind = "inclusion"
    log_unit_frequency: Tensor

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.register_buffer("log_unit_frequency", counts.log_unit_frequency())

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`.

        Raises:
            ValueError: `n_units` is smaller than 1, or a row's positive is in no unit according to the counts.
        """
        ids = positives.unique()
        log_kept = 0.0
        chosen = self.choose(len(ids))
        if chosen is not None:
            log_kept = math.log(len(chosen) / len(ids))
            ids = ids[to_device(chosen, ids.device)]
        units = len(positives) if n_units is None else n_units

        def law(wanted: Tensor) -> Tensor:
            return log_inclusion_of_draws(self.log_unit_frequency[wanted], units) + log_kept

        log_q = law(ids)
        if bool(torch.isneginf(log_q).any()):
            item = int(ids[torch.isneginf(log_q)][0])
            raise ValueError(f"sampler 'in_batch_unique' holds item {item}, which is in no unit: counts do not fit")
        # An id may be the positive of several rows, so no row is the origin; the mask finds the own column by id.
        origin = torch.full_like(ids, -1)
        return Pool(ids=ids, kind=self.kind, origin=origin, log_q=log_q, law=law, from_batch=True)
