"""Distinct items with the inclusion probabilities that one asks for."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts, inclusion_of_size
from recbole_logq.registry import samplers
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.transfer import to_device

REFRESH = 64
"""Pools that come from one order of the catalogue. Each has exactly the inclusion probabilities; only which items tend
to come together changes with the order, whose work grows with the catalogue and is shared by that many steps."""


@samplers.register("systematic", summary="distinct items drawn by a proposal; Q = inclusion probability, min(1, c q)")
class Systematic(Sampler):
    """`count` distinct items, item d among them with probability `pi_d = min(1, c q_d)`, the sum of all pi the count.

    Draws with replacement waste columns on the head; here an item whose share reaches 1 is in the pool for certain, and
    once. The items stand in random order, each with a stretch as long as its pi, and points at distance 1 from a random
    start pick the others (systematic sampling; Madow, Annals of Mathematical Statistics 1949).

    When to use: where a pool of draws would hold popular items many times.

    Goes with: `corrected_logq`, in its Horvitz-Thompson form.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("systematic")(counts, count=2, seed=0, proposal="frequency").sample(torch.tensor([1, 2]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 2]), tensor([1.0000, 0.6000]))

    Args:
        proposal: q: "frequency" of training targets, "popularity" (frequency to the power of alpha) or "mixture" of
            frequency and uniform. The first two never hold an item without training targets.
        alpha: Exponent of "popularity". Default: 0.75.
        uniform_share: Share of the uniform part of "mixture", above 0 and below 1. Default: 0.5.

    Raises:
        ValueError: `count` is None, an option is out of range, or it is none of the proposal's.

    Buffers:
        log_pi: float32 `[n_items]`, log inclusion probabilities.
        order: int64 `[drawn]`, the items below pi = 1 in the order of now.

    Attributes:
        taken: Pools since the items were last shuffled, in `state_dict`.
    """

    name = "systematic"
    kind = "inclusion"
    from_batch = random_batches = False
    log_pi: Tensor
    order: Tensor
    certain: Tensor
    ends: Tensor

    def __init__(
        self,
        counts: TargetCounts,
        *,
        count: int | None,
        seed: int,
        proposal: Literal["frequency", "popularity", "mixture"] = "mixture",
        alpha: float | None = None,
        uniform_share: float | None = None,
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        if count is None:
            raise ValueError("sampler 'systematic' needs a count: it can draw any number of items")
        q = self._proposal(counts, proposal, alpha, uniform_share)
        pi = inclusion_of_size(q, min(count, int((q > 0).sum())))
        self.register_buffer("log_pi", pi.log().float())
        self.register_buffer("certain", (pi == 1).nonzero().flatten(), persistent=False)
        drawn = ((pi > 0) & (pi < 1)).nonzero().flatten()
        self.n_drawn = round(float(pi[drawn].sum()))
        self.register_buffer("pi", pi, persistent=False)
        self.register_buffer("order", drawn)
        self.register_buffer("ends", pi[drawn].cumsum(0), persistent=False)
        self.taken = REFRESH

    pi: Tensor

    def _proposal(self, counts: TargetCounts, name: str, alpha: float | None, uniform_share: float | None) -> Tensor:
        options = {"popularity": ("alpha", alpha), "mixture": ("uniform_share", uniform_share)}
        if name not in ("frequency", *options):
            raise ValueError(f"sampler 'systematic': proposal must be frequency, popularity or mixture, got {name!r}")
        for of, (option, value) in options.items():
            if value is not None and of != name:
                raise ValueError(f"sampler 'systematic': {option} is an option of proposal={of}, not of {name}")
        frequency = counts.counts.double() / counts.counts.sum()
        if name == "frequency":
            return frequency
        if name == "popularity":
            power = 0.75 if alpha is None else alpha
            self.check_number(alpha=power)
            if power <= 0:
                raise ValueError(f"sampler 'systematic': alpha must be above 0, got {alpha}")
            weight = (power * counts.counts.double().log()).softmax(dim=0)
            return torch.where(counts.counts > 0, weight, 0.0)
        share = 0.5 if uniform_share is None else uniform_share
        self.check_number(uniform_share=share)
        if not 0 < share < 1:
            raise ValueError(f"sampler 'systematic': uniform_share must be between 0 and 1, got {uniform_share}")
        uniform = torch.full_like(frequency, 1 / (self.n_items - 1))
        uniform[0] = 0.0  # padding
        return (1 - share) * frequency + share * uniform

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`; of `positives` only the device matters."""
        if self.taken >= REFRESH:
            place = to_device(torch.randperm(len(self.order), generator=self.generator), self.order.device)
            self.order.copy_(self.order[place])
            self._measure()
            self.taken = 0
        self.taken += 1
        start = torch.rand(1, generator=self.generator, dtype=torch.float64)
        points = to_device(start + torch.arange(self.n_drawn), self.order.device)
        place = torch.searchsorted(self.ends, points, right=True).clamp_max(max(len(self.order) - 1, 0))
        ids = torch.cat([self.certain, self.order[place]]).to(positives.device)
        origin = torch.full_like(ids, -1)
        return Pool(ids=ids, kind=self.kind, origin=origin, log_q=self._log_q_of(ids), law=self._log_q_of)

    def _measure(self) -> None:
        self.ends = self.pi[self.order].cumsum(0)

    def _log_q_of(self, ids: Tensor) -> Tensor:
        return self.log_pi[ids]

    def get_extra_state(self) -> dict[str, Any]:
        """As `Sampler.get_extra_state`, with how far the present order is used."""
        return {**super().get_extra_state(), "taken": self.taken}

    def set_extra_state(self, state: Any) -> None:
        """As `Sampler.set_extra_state`."""
        super().set_extra_state(state)
        self.check_whole(0, taken=state["taken"])
        self.taken = state["taken"]
        if self.taken < REFRESH:
            self._measure()
