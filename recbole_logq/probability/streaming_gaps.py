"""How often items come by, estimated from the stream of batches itself."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

_PRIME = 2**31 - 1  # products of two numbers below it stay within int64


class StreamingGaps(nn.Module):
    """Steps between two batches that hold an item, as a moving average (Yi et al., RecSys 2019, algorithm 2).

    For each hash function, array A holds the step at which a bucket was last seen and B the average gap. Once per batch
    and distinct bucket: `B <- (1 - rate) B + rate (t - A)`, `A <- t`. An item is in a batch with probability 1 / B; of
    several hash functions the largest B counts, because a collision can only make a gap look shorter.

    Args:
        buckets: Size of each array.
        hashes: Number of hash functions; 0 uses the id itself, for ids below `buckets`.
        rate: Weight of the latest gap, above 0 and at most 1.
        seed: Seed of the hash functions.

    Raises:
        ValueError: An argument is out of range.

    Buffers:
        last: int64 `[hashes, buckets]`, A.
        gap: float64 `[hashes, buckets]`, B; 0 before the first batch.
        step: int64 scalar, t.

    Attributes:
        started: Whether there was a batch.
    """

    last: Tensor
    gap: Tensor
    step: Tensor
    factors: Tensor

    def __init__(self, buckets: int, *, hashes: int = 0, rate: float = 0.05, seed: int = 0) -> None:
        super().__init__()
        if buckets < 1 or hashes < 0 or not 0 < rate <= 1:
            raise ValueError(f"streaming estimate: impossible buckets={buckets}, hashes={hashes} or rate={rate}")
        self.hashes, self.rate = hashes, rate
        generator = torch.Generator().manual_seed(seed)
        # (a low + b (high + 1)) mod prime mod buckets, of the id's two digits to the base of the prime: universal
        # hashing as Carter and Wegman have it (1979).
        self.register_buffer("factors", torch.randint(1, _PRIME, (2, max(hashes, 1)), generator=generator))
        self.register_buffer("last", torch.zeros(max(hashes, 1), buckets, dtype=torch.int64))
        self.register_buffer("gap", torch.zeros(max(hashes, 1), buckets, dtype=torch.float64))
        self.register_buffer("step", torch.zeros((), dtype=torch.int64))
        self.started = False

    def update(self, ids: Tensor) -> None:
        """Count one batch.

        Args:
            ids: int64 `[any]`, the batch's items; repeats do not matter.
        """
        self.step += 1
        if not self.started:
            # As if all items were alike: an item of the first batch comes by once in (items / distinct) batches.
            ordered = ids.sort().values
            n_distinct = (ordered[1:] != ordered[:-1]).sum() + min(len(ids), 1)
            self.gap.fill_((self.gap.shape[1] / n_distinct.clamp_min(1)).clamp_min(1.0))
            self.started = True
        for row, bucket in enumerate(self._buckets(ids)):
            # Repeats are written several times, with the same numbers.
            since = (self.step - self.last[row, bucket]).double()
            self.gap[row, bucket] = (1 - self.rate) * self.gap[row, bucket] + self.rate * since
            self.last[row, bucket] = self.step

    def log_inclusion(self, ids: Tensor) -> Tensor:
        """log-probability that a batch holds the item: float32, shape of `ids`, at most 0."""
        buckets = self._buckets(ids)
        gap = torch.stack([self.gap[row, bucket] for row, bucket in enumerate(buckets)]).amax(0)
        return -gap.clamp_min(1.0).log().float()

    def _buckets(self, ids: Tensor) -> list[Tensor]:
        if not self.hashes:
            return [ids]
        low, high = ids % _PRIME, torch.div(ids, _PRIME, rounding_mode="floor")
        mixed = [((a * low) % _PRIME + (b * (high % _PRIME + 1)) % _PRIME) % _PRIME for a, b in self.factors.T]
        return [value % self.last.shape[1] for value in mixed]

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        super()._load_from_state_dict(state_dict, prefix, *arguments)
        self.started = int(self.step) > 0
