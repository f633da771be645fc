"""Cache-augmented importance resampling: the batch's negatives and those of a cache of what was hard before."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.bir import resampled
from recbole_logq.samplers.in_batch import InBatch
from recbole_logq.samplers.pool import Pool
from recbole_logq.transfer import to_device


@samplers.register("xir", summary="bir, and the same on a cache of items that were hard before (Chen et al. 2022)")
class XIR(InBatch):
    """Two pools, each resampled per row: the batch's and a cache's (Chen et al., NeurIPS 2022, section 3.3).

    The cache holds as many ids as the pool has columns of the batch, at first uniform ones. From it `K_u` is drawn by
    `softmax(s - log q)`, q the law that the cache itself was drawn by, and `R_u` from the batch as in `bir`; each has
    half as many draws as the pool has columns. Occurrences in all K_u and R_u are counted, and after the step the next
    cache is drawn in proportion to them. The loss is `cache_weight L(K_u) + (1 - cache_weight) L(R_u)`.

    When to use: for hard negatives from more items than one batch has.

    Goes with: uncorrected softmax losses: `sampled_softmax`, `infonce`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("xir")(counts, count=4, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> len(pool.ids), pool.groups  # columns of both pools, and the weight of each
        (8, ((slice(0, 4, None), 0.5), (slice(4, 8, None), 0.5)))

    Args:
        cache_weight: Share of the cache's loss, between 0 and 1; 0.5 in the paper's text, 0.2 in its script.

    Raises:
        ValueError: `count` is None or below 2, or `cache_weight` is out of range.

    Buffers:
        cache: int64 `[count]`, the ids.
        log_cache_law: float32 `[n_items]`, log q.
        occurrences: int64 `[n_items]`, how often each item was drawn by a row so far.
    """

    name = "xir"
    reads = ()
    random_batches = True
    resamples = True
    corrected_by = "resampling"
    id_buffers = ("cache",)
    cache: Tensor
    log_cache_law: Tensor
    occurrences: Tensor

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int, cache_weight: float = 0.5) -> None:
        super().__init__(counts, count=count, seed=seed)
        if count is None or count < 2:
            raise ValueError("sampler 'xir' needs a count of 2 or more: the size of its cache")
        self.check_number(cache_weight=cache_weight)
        if not 0 < cache_weight < 1:
            raise ValueError(f"sampler 'xir': cache_weight must be between 0 and 1, got {cache_weight}")
        self.cache_weight = cache_weight
        uniform = torch.full((self.n_items,), -math.log(self.n_items - 1))
        uniform[0] = -torch.inf  # padding is never drawn
        self.register_buffer("cache", torch.randint(1, self.n_items, (count,), generator=self.generator))
        self.register_buffer("log_cache_law", uniform)
        self.register_buffer("occurrences", torch.zeros(self.n_items, dtype=torch.int64))
        self._drawn: Tensor | None = None

    def sample(self, positives: Tensor, *, n_units: int | None = None, segment: int | Tensor | None = None) -> Pool:
        """As `Sampler.sample`: the batch's columns first, then the cache's; of all segments."""
        batch = super().sample(positives, n_units=n_units)
        cache = self.cache.to(positives.device)
        n_batch, n = len(batch.ids), len(batch.ids) + len(cache)

        def law(ids: Tensor) -> Tensor:
            # Of a column of either kind: both were drawn from the whole catalogue.
            from_batch = self.log_frequency[ids] + (math.log(n_batch / n) if n_batch else -math.inf)
            return torch.logaddexp(from_batch, self.log_cache_law[ids] + math.log(len(cache) / n))

        ids = torch.cat([batch.ids, cache])
        return Pool(
            ids=ids,
            kind=self.kind,
            origin=torch.cat([batch.origin, torch.full_like(cache, -1)]),
            log_q=law(ids),
            law=law,
            from_batch=True,
            groups=((slice(0, n_batch), 1 - self.cache_weight), (slice(n_batch, n), self.cache_weight)),
        )

    def negatives_of_row(self, pool: Pool) -> int:
        """As `Sampler.negatives_of_row`: what it draws from the two pools."""
        return 2 * self._draws

    @property
    def _draws(self) -> int:
        return max(len(self.cache) // 2, 1)

    def resample(self, scores: Tensor, pool: Pool, valid: Tensor | None = None) -> Tensor:
        """As `Sampler.resample`; each of the two pools on its own."""
        assert pool.groups is not None
        (batch, _), (cache, _) = pool.groups
        draws = self._draws
        counts = [
            resampled(self, scores[:, part] - law[pool.ids[part]], None if valid is None else valid[:, part], draws)
            for part, law in ((batch, self.log_frequency), (cache, self.log_cache_law))
        ]
        drawn = torch.cat(counts, dim=1)
        self._drawn = torch.zeros_like(self.occurrences).index_add_(
            0, pool.ids.to(self.occurrences.device), drawn.sum(dim=0).long().to(self.occurrences.device)
        )
        return drawn.log()

    def after_step(self) -> None:
        """The step's draws are counted, and the next cache is drawn by all counts so far."""
        if self._drawn is None:
            return
        self.occurrences += self._drawn
        self._drawn = None
        share = self.occurrences.double()
        cumulative = share.cumsum(0)
        point = to_device(torch.rand(len(self.cache), generator=self.generator, dtype=torch.float64), share.device)
        total = cumulative[-1]
        # A product that rounds up to the total would fall behind the last item.
        point = torch.minimum(point * total, torch.nextafter(total, torch.zeros_like(total)))
        drawn = total > 0  # otherwise no row could draw anything yet, and everything stays
        items = torch.searchsorted(cumulative, point, right=True)
        self.cache.copy_(torch.where(drawn, items, self.cache))
        self.log_cache_law.copy_(torch.where(drawn, (share / total).log(), self.log_cache_law))
