"""In-batch negatives as they come: other rows' positives, duplicates kept."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.base import Sampler
from recbole_logq.samplers.pool import Pool


@samplers.register("in_batch", summary="positives of the batch, duplicates kept; Q = share of training targets")
class InBatch(Sampler):
    """`count` positions of the batch, drawn without replacement; all of them if `count` is None or there are fewer.

    Each position is one draw from the training targets, so `Q(d) = p_d`. An item without training targets can not be
    drawn; asked for as a positive (in validation) it has log Q = -inf.

    Buffers:
        log_frequency: float32 `[n_items]`, log p.
    """

    name = "in_batch"
    kind = "draws"
    log_frequency: Tensor

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.register_buffer("log_frequency", counts.log_frequency())

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`; `n_units` does not matter.

        Raises:
            ValueError: A row's positive has no training targets according to the counts.
        """
        chosen = self.choose(len(positives))
        origin = torch.arange(len(positives)) if chosen is None else chosen
        origin = origin.to(positives.device)
        ids = positives[origin]
        log_q = self._log_q_of(ids)
        if bool(torch.isneginf(log_q).any()):
            item = int(ids[torch.isneginf(log_q)][0])
            raise ValueError(f"sampler 'in_batch' drew item {item}, which has no training targets: counts do not fit")
        return Pool(ids=ids, kind=self.kind, origin=origin, log_q=log_q, law=self._log_q_of)

    def _log_q_of(self, ids: Tensor) -> Tensor:
        return self.log_frequency[ids]
