"""In-batch negatives without duplicates, their probabilities estimated from the stream."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.probability.streaming_gaps import StreamingGaps
from recbole_logq.registry import samplers
from recbole_logq.samplers.distinct import distinct, drawn_of
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler


@samplers.register("streaming", summary="distinct items of the batch; Q estimated from the stream (Yi et al. 2019)")
class Streaming(Sampler):
    """As `in_batch_unique`, for data whose frequencies nobody has counted, or that change while training goes on.

    The estimate counts batches that hold an item, so it is an inclusion probability and belongs to a pool of distinct
    ids (Yi et al., RecSys 2019, section 4). It is updated after an applied step and never in evaluation.

    When to use: where nobody has counted the items, or their frequencies drift.

    Goes with: `corrected_logq`, in its Horvitz-Thompson form; batches must be random.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("streaming")(counts, count=None, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.kind
        (tensor([1, 2, 3]), 'inclusion')

    Args:
        rate: Weight of the latest gap.
        hashes: Number of hash functions; 0 keeps an entry for every item.
        buckets: Size of the hashed arrays; needed with `hashes`.

    Raises:
        ValueError: An option is out of range.
    """

    name = "streaming"
    kind = "inclusion"
    law_options = frozenset({"rate", "hashes", "buckets"})

    def __init__(
        self,
        counts: TargetCounts,
        *,
        count: int | None,
        seed: int,
        rate: float = 0.05,
        hashes: int = 0,
        buckets: int | None = None,
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.check_whole(0, hashes=hashes)
        self.check_number(rate=rate)
        if buckets is not None:
            self.check_whole(buckets=buckets)
        if hashes and buckets is None:
            raise ValueError("sampler 'streaming': hashes needs buckets, the size of its arrays")
        size = buckets if hashes and buckets is not None else counts.n_items
        self.gaps = StreamingGaps(size, hashes=hashes, rate=rate, seed=seed)
        self._current: Tensor | None = None

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`; `n_units` does not matter, batches are counted as they come."""
        self._current = positives
        if not self.gaps.started:
            self.gaps.update(positives)
            self._current = None
        items = distinct(positives)
        ids, log_kept = drawn_of(items, self.count, self.generator)

        def law(item_ids: Tensor) -> Tensor:
            return self.gaps.log_inclusion(item_ids) + log_kept

        log_q = law(ids)
        if items.padded:
            log_q = log_q.masked_fill(ids == 0, 0.0)
        origin = torch.full_like(ids, -1)
        return Pool(ids, self.kind, origin, log_q, law, from_batch=True, padded=items.padded)

    def after_step(self) -> None:
        """The applied step's items enter the estimate."""
        if self._current is not None:
            self.gaps.update(self._current)
            self._current = None
