"""Mixed negative sampling: some of the batch's positives, some uniform draws."""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.in_batch import InBatch
from recbole_logq.samplers.pool import Law, Pool
from recbole_logq.samplers.pools import Pools
from recbole_logq.samplers.table_law import TableLaw
from recbole_logq.transfer import to_device


@samplers.register("mixed", summary="in-batch and uniform draws together; Q is that of the mixture")
class Mixed(InBatch):
    """`count` columns: a share of them uniform draws, the others positions of the batch (Yang et al., WWW 2020).

    With n_b in-batch and n_u uniform columns, every column has the mixture's
    `Q(d) = (n_b p_d + n_u / C) / (n_b + n_u)`: whichever part an item came by, both could have given it. That has the
    lowest variance of the consistent choices, and an item that never was a target has Q > 0.

    When to use: where items of the tail need gradient too: in-batch columns alone hardly ever hold them.

    Goes with: `corrected_logq` and `logq`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("mixed")(counts, count=4, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 2, 1, 4]), tensor([0.3750, 0.2750, 0.3750, 0.1750]))

    Args:
        uniform_share: Share of uniform draws in the pool, between 0 and 1.
        law: "mixture", or "per_part": p for the in-batch columns and 1 / C for the uniform ones, also consistent.

    Raises:
        ValueError: `count` is None or below 2, or an option is out of range.
    """

    name = "mixed"
    law_options = frozenset({"law"})

    def __init__(
        self,
        counts: TargetCounts,
        *,
        count: int | None,
        seed: int,
        uniform_share: float = 0.5,
        law: Literal["mixture", "per_part"] = "mixture",
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        if count is None or count < 2:
            raise ValueError("sampler 'mixed' needs a count of 2 or more, at least one negative of each kind")
        self.check_number(uniform_share=uniform_share)
        if not 0 < uniform_share < 1:
            raise ValueError(f"sampler 'mixed': uniform_share must be between 0 and 1, got {uniform_share}")
        if law not in ("mixture", "per_part"):
            raise ValueError(f"sampler 'mixed': law must be mixture or per_part, got {law!r}")
        self.n_uniform = min(max(round(count * uniform_share), 1), count - 1)
        self.size = count
        self.per_part = law == "per_part"
        self.log_uniform = -math.log(counts.n_items - 1)
        self._laws: dict[int, TableLaw] = {}

    @property
    def asks_of_batch(self) -> int | None:
        """As `Sampler.asks_of_batch`."""
        return self.size - self.n_uniform

    def sample(self, positives: Tensor, *, n_units: int | None = None, segment: int | Tensor | None = None) -> Pool:
        """As `Sampler.sample`; a batch smaller than its part gives all it has."""
        from_rows = min(self.size - self.n_uniform, len(positives))
        origin = torch.randperm(len(positives), generator=self.generator)[:from_rows]
        drawn = torch.randint(1, self.n_items, (self.n_uniform,), generator=self.generator)
        origin = to_device(torch.cat([origin, torch.full_like(drawn, -1)]), positives.device)
        ids = torch.cat([positives[origin[:from_rows]], to_device(drawn, positives.device)])
        frequency_law = self.law(segment)

        if self.per_part:
            from_batch = torch.arange(len(ids), device=ids.device) < from_rows

            def uniform_law(rows: Tensor) -> Tensor:
                return torch.full(rows.shape, self.log_uniform, device=rows.device)

            return Pool(
                ids=ids,
                kind=self.kind,
                origin=origin,
                log_q=torch.where(from_batch, frequency_law(ids), uniform_law(ids)),
                law=frequency_law,  # a positive is a draw from the batch's law
                part=(~from_batch).long(),
                part_laws=(frequency_law, uniform_law),
                from_batch=True,
            )

        law = self._mixture(from_rows, segment)
        return Pool(ids=ids, kind=self.kind, origin=origin, log_q=law(ids), law=law, from_batch=True)

    @property
    def takes_pools(self) -> bool:
        """As `Sampler.takes_pools`."""
        return not self.per_part

    def sample_pools(
        self, positives: Tensor, pools: int, *, numbers: DeviceNumbers | None = None, real: Tensor | None = None
    ) -> Pools:
        """As `Sampler.sample_pools`; one law of all columns, whatever the option says."""
        rows = len(positives)
        from_rows = min(self.size - self.n_uniform, rows)
        if numbers is None:
            places, draws = [], []
            for _ in range(pools):
                places.append(torch.randperm(rows, generator=self.generator)[:from_rows])
                draws.append(torch.randint(1, self.n_items, (self.n_uniform,), generator=self.generator))
            columns = to_device(torch.cat([torch.stack(places), torch.stack(draws)], dim=1), positives.device)
            place, drawn = columns[:, :from_rows], columns[:, from_rows:]
        else:
            place = numbers.places(pools, from_rows, rows, real)
            drawn = numbers.whole(1, self.n_items, pools, self.n_uniform)
        ids = torch.cat([positives[place], drawn], dim=1)
        origin = torch.cat([place, torch.full_like(drawn, -1)], dim=1)
        return Pools(ids, origin, self._mixture(from_rows), from_batch=True)

    def _mixture(self, from_rows: int, segment: int | Tensor | None = None) -> Law:
        share = from_rows / (from_rows + self.n_uniform)

        def mixed(frequency: Tensor) -> Tensor:
            in_batch = frequency + (math.log(share) if from_rows else -math.inf)
            return torch.logaddexp(in_batch, torch.full_like(frequency, self.log_uniform + math.log1p(-share)))

        if segment is not None:
            frequency_law = self.law(segment)
            return lambda ids: mixed(frequency_law(ids))
        # Of all items once: pools have one share, but for those of an epoch's last batch.
        if from_rows not in self._laws or self._laws[from_rows].log_q.device != self.log_frequency.device:
            self._laws = {from_rows: TableLaw(mixed(self.log_frequency))}
        return self._laws[from_rows]
