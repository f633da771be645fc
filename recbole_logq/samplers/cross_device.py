"""In-batch negatives of all processes of a distributed run."""

from __future__ import annotations

import torch
import torch.distributed as dist
from torch import Tensor

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
    """

    name = "cross_device"
    reads = ()
    random_batches = True

    def sample(self, positives: Tensor, *, n_units: int | None = None, segment: int | None = None) -> Pool:
        """As `Sampler.sample`; a collective call where several processes run."""
        everything, first = _gathered(positives)
        pool = super().sample(everything, n_units=n_units)
        own = (pool.origin >= first) & (pool.origin < first + len(positives))
        pool.origin = torch.where(own, pool.origin - first, torch.full_like(pool.origin, -1))
        return pool


def _gathered(ids: Tensor) -> tuple[Tensor, int]:
    """The ids of all ranks, in the order of ranks, and where this rank's begin."""
    if not dist.is_available() or not dist.is_initialized() or dist.get_world_size() == 1:
        return ids, 0
    sizes = [torch.zeros(1, dtype=torch.int64, device=ids.device) for _ in range(dist.get_world_size())]
    dist.all_gather(sizes, torch.tensor([len(ids)], device=ids.device))
    lengths = [int(size) for size in sizes]
    padded = torch.zeros(max(lengths), dtype=torch.int64, device=ids.device)
    padded[: len(ids)] = ids
    parts = [torch.zeros_like(padded) for _ in lengths]
    dist.all_gather(parts, padded)
    everything = torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
    return everything, sum(lengths[: dist.get_rank()])
