"""In-batch negatives as they come: other rows' positives, duplicates kept."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.pool import Law, Pool
from recbole_logq.samplers.pools import Pools
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.samplers.table_law import TableLaw
from recbole_logq.transfer import to_device


@samplers.register("in_batch", summary="positives of the batch, duplicates kept; Q = share of training targets")
class InBatch(Sampler):
    """`count` positions of the batch, drawn without replacement; all of them if `count` is None or there are fewer.

    Each position is one draw from the training targets, so `Q(d) = p_d`; where batches are built from one segment of
    the data each, p is the segment's. An item without training targets cannot be drawn; asked for as a positive (in
    validation) it has log Q = -inf.

    When to use: by default: its negatives cost nothing to encode, and popular items come as often as they are targets.

    Goes with: `corrected_logq` and `logq`; batches must be random.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("in_batch")(counts, count=4, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 2, 1, 3]), tensor([0.5000, 0.3000, 0.5000, 0.1000]))

    Buffers:
        log_frequency: float32 `[n_items]`, log p.
    """

    name = "in_batch"
    kind = "draws"
    reads: ClassVar[tuple[str, ...]] = ("segment",)
    random_batches = False
    log_frequency: Tensor

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.register_buffer("log_frequency", counts.log_frequency())
        self.segments = counts.segments
        self._law: TableLaw | None = None

    def sample(self, positives: Tensor, *, n_units: int | None = None, segment: int | Tensor | None = None) -> Pool:
        """As `Sampler.sample`; `n_units` does not matter.

        Raises:
            ValueError: A row's positive, on the CPU, has no training targets according to the counts.
        """
        chosen = self.choose(len(positives))
        device = positives.device
        origin = torch.arange(len(positives), device=device) if chosen is None else to_device(chosen, device)
        ids = positives[origin]
        law = self.law(segment)
        log_q = law(ids)
        # An accelerator would have to be waited for; there the loss becomes infinite, which the trainer reports.
        if device.type == "cpu" and bool(torch.isneginf(log_q).any()):
            item = int(ids[torch.isneginf(log_q)][0])
            raise ValueError(
                f"sampler {self.name!r} drew item {item}, which has no training targets: counts do not fit"
            )
        return Pool(ids=ids, kind=self.kind, origin=origin, log_q=log_q, law=law, from_batch=True)

    @property
    def takes_pools(self) -> bool:
        """As `Sampler.takes_pools`."""
        return not self.resamples and not self.gathers

    def sample_pools(
        self, positives: Tensor, pools: int, *, numbers: DeviceNumbers | None = None, real: Tensor | None = None
    ) -> Pools:
        """As `Sampler.sample_pools`; an item without training targets is not looked for."""
        rows = len(positives)
        if numbers is None:
            places = [self.choose(rows) for _ in range(pools)]
            order = torch.arange(rows)
            origin = to_device(torch.stack([order if place is None else place for place in places]), positives.device)
        else:
            count = rows if self.count is None else min(self.count, rows)
            origin = numbers.places(pools, count, rows, real)
        return Pools(positives[origin], origin, self.law(), from_batch=True)

    def law(self, segment: int | Tensor | None = None) -> Law:
        """log-probability of items in one draw from the training targets, or from those of a segment.

        Raises:
            ValueError: A segment is given and the counts know none.
        """
        if segment is None:
            if self._law is None or self._law.log_q is not self.log_frequency:  # it may have moved to a device
                self._law = TableLaw(self.log_frequency)
            return self._law
        if self.segments is None:
            raise ValueError(f"sampler {self.name!r} was given a segment, and counts without segments")
        table = self.segments
        return lambda ids: table.log_share_of(ids, segment)
