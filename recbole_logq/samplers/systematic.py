"""Distinct items with the inclusion probabilities that one asks for."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import torch
from torch import Tensor

from recbole_logq.losses.shares import ColumnShares
from recbole_logq.probability import TargetCounts, inclusion_of_size
from recbole_logq.probability.running_mass import RunningMass
from recbole_logq.ranks import sum_over_ranks, world_size
from recbole_logq.registry import samplers
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.proposal import counted_proposal, with_uniform
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.transfer import to_device

REFRESH = 64
"""Pools that come from one order of the catalogue. Each has exactly the inclusion probabilities; only which items tend
to come together changes with the order, whose work grows with the catalogue and is shared by that many steps."""
ITEMS_A_STEP = 10_000
"""Items of the catalogue that a step pays for, at most: more of them are ordered less often."""
RATE, TURNS = 0.05, 4
"""Weight of a step in a learned proposal, at most; and how often pools hold as many columns as there are items while
the mean remembers. One that forgets sooner takes an item that was not drawn lately for one without probability."""
PROPOSALS: dict[str, tuple[str, ...]] = {
    "frequency": (),
    "popularity": ("alpha",),
    "mixture": ("uniform_share",),
    "learned": ("uniform_share", "rate", "refresh"),
}
"""Options of each proposal."""


@samplers.register("systematic", summary="distinct items drawn by a proposal; Q = inclusion probability, min(1, c q)")
class Systematic(Sampler):
    """`count` distinct items, item d among them with probability `pi_d = min(1, c q_d)`, the sum of all pi the count.

    Draws with replacement waste columns on the head; here an item whose share reaches 1 is in the pool for certain, and
    once. The items stand in random order, each with a stretch as long as its pi, and points at distance 1 from a random
    start pick the others (systematic sampling; Madow, Annals of Mathematical Statistics 1949).

    A learned proposal follows the model: `q = (1 - e) m + e / C`, m the mean over rows of the softmax probability that
    a pool has to estimate (of a row's positive, and of what else is masked or scored apart, it is 0). What m is told
    are the pool's own columns, each with its Horvitz-Thompson estimate, which is the gradient in the column's score:
    nothing is scored for it. The estimate's denominator is the pool's too, so it is consistent rather than unbiased.

    When to use: where a pool of draws would hold popular items many times.

    Goes with: `corrected_logq`, in its Horvitz-Thompson form; a learned proposal with nothing else.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("systematic")(counts, count=2, seed=0, proposal="frequency").sample(torch.tensor([1, 2]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 2]), tensor([1.0000, 0.6000]))

    Args:
        proposal: q: "frequency" of training targets, "popularity" (frequency to the power of alpha), "mixture" of
            frequency and uniform, or "learned". The first two never hold an item without training targets.
        alpha: Exponent of "popularity". Default: 0.75.
        uniform_share: Share of the uniform part of "mixture" and "learned", above 0 and below 1. Default: 0.5 of a
            mixture, 0.3 of what is learned.
        rate: Weight of a step in what is learned, between 0 and 1. Default: a quarter of count / items, at most 0.05.
        refresh: Steps after which what is learned becomes the proposal. Default: 64, or items / 10,000 where that is
            more.

    Raises:
        ValueError: `count` is None, an option is out of range, or it is none of the proposal's.

    Buffers:
        log_pi: float32 `[n_items]`, log inclusion probabilities.
        pi: float64 `[n_items]`, the probabilities; in `state_dict` where they are learned.
        order: int64 `[drawn]`, the items below pi = 1 in the order of now; all items where pi is learned.

    Attributes:
        taken: Pools since the items were last shuffled, in `state_dict`.
        running: What is learned, None for the other proposals.
    """

    name = "systematic"
    kind = "inclusion"
    from_batch = random_batches = False
    id_buffers = ("order",)
    log_pi: Tensor
    pi: Tensor
    order: Tensor
    certain: Tensor
    ends: Tensor

    def __init__(
        self,
        counts: TargetCounts,
        *,
        count: int | None,
        seed: int,
        proposal: Literal["frequency", "popularity", "mixture", "learned"] = "mixture",
        alpha: float | None = None,
        uniform_share: float | None = None,
        rate: float | None = None,
        refresh: int | None = None,
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        if count is None:
            raise ValueError("sampler 'systematic' needs a count: it can draw any number of items")
        options = {"alpha": alpha, "uniform_share": uniform_share, "rate": rate, "refresh": refresh}
        self._check(proposal, **options)
        self.uniform_share = 0.3 if uniform_share is None else uniform_share
        self.refresh = refresh or max(REFRESH, self.n_items // ITEMS_A_STEP)
        self.running: RunningMass | None = None
        if proposal == "learned":
            start = counted_proposal(counts, "popularity")
            self.running = RunningMass(start, rate=rate or min(RATE, count / (TURNS * (self.n_items - 1))))
            q = self._learned()
        else:
            q = counted_proposal(counts, proposal, **{k: v for k, v in options.items() if v is not None})
        pi = inclusion_of_size(q, min(count, int((q > 0).sum())))
        # What is certain changes with what is learned: there the order holds it too, with a stretch of 1.
        drawn = ((pi > 0) & ((pi < 1) | self.learns)).nonzero().flatten()
        self.n_drawn = round(float(pi[drawn].sum()))
        self.register_buffer("log_pi", pi.log().float())
        self.register_buffer("certain", ((pi == 1) & (not self.learns)).nonzero().flatten(), persistent=False)
        self.register_buffer("pi", pi, persistent=self.learns)
        self.register_buffer("order", drawn[torch.randperm(len(drawn), generator=self.generator)])
        self.register_buffer("ends", pi[self.order].cumsum(0), persistent=False)
        self.taken = 0

    @property
    def learns(self) -> bool:
        """As `Sampler.learns`: with a learned proposal."""
        return self.running is not None

    def _check(self, proposal: str, **options: float | None) -> None:
        if proposal not in PROPOSALS:
            names = ", ".join(list(PROPOSALS)[:-1])
            raise ValueError(f"sampler 'systematic': proposal must be {names} or learned, got {proposal!r}")
        for option, value in options.items():
            if value is None:
                continue
            if option not in PROPOSALS[proposal]:
                takers = [name for name, theirs in PROPOSALS.items() if option in theirs]
                raise ValueError(
                    f"sampler 'systematic': {option} is an option of proposal={' or '.join(takers)}, not of {proposal}"
                )
            if option == "refresh":
                self.check_whole(refresh=value)
                continue
            self.check_number(**{option: value})
            if value <= 0:
                raise ValueError(f"sampler 'systematic': {option} must be above 0, got {value}")
            if option != "alpha" and value >= 1:
                raise ValueError(f"sampler 'systematic': {option} must be between 0 and 1, got {value}")

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`; of `positives` only the device matters."""
        if self.taken >= self.refresh:
            self._arrange()
        self.taken += 1
        start = torch.rand(1, generator=self.generator, dtype=torch.float64)
        points = to_device(start + torch.arange(self.n_drawn), self.order.device)
        place = torch.searchsorted(self.ends, points, right=True).clamp_max(max(len(self.order) - 1, 0))
        ids = torch.cat([self.certain, self.order[place]]).to(positives.device)
        shares = ColumnShares.of_pool(len(ids), ids.device) if self.learns and torch.is_grad_enabled() else None
        origin = torch.full_like(ids, -1)
        return Pool(
            ids=ids, kind=self.kind, origin=origin, log_q=self._log_q_of(ids), law=self._log_q_of, shares=shares
        )

    def learn(self, pools: Sequence[Pool]) -> None:
        """As `Sampler.learn`; a collective call where several processes run."""
        stated = [(pool.ids, pool.shares) for pool in pools if pool.shares is not None]
        if self.running is None or not stated:
            return
        if world_size() == 1 and not any(shares.known for _, shares in stated):  # nobody went backward
            return
        sums = sum_over_ranks(torch.stack([shares.sums() for _, shares in stated]))  # [pools, columns + 1]
        rows = sums[:, -1].sum()
        means = torch.where(rows > 0, sums[:, :-1] / rows, 0.0)  # [pools, columns]
        self.running.add(zip([ids for ids, _ in stated], means, strict=True))

    @property
    def pools_to_settle(self) -> int:
        """As `Sampler.pools_to_settle`: all but a twentieth has been learned since then."""
        return 0 if self.running is None else math.ceil(-math.log(0.05) / self.running.rate)

    def settle(self, other: Sampler | None = None) -> None:
        """As `Sampler.settle`."""
        if self.running is not None and isinstance(other, Systematic) and other.running is not None:
            self.running.mass.copy_(other.running.value())
            self.running.factor = 1.0
        self._arrange()

    def _learned(self) -> Tensor:
        assert self.running is not None
        mass = self.running.value().double()
        return with_uniform(mass.div_(mass.sum()), self.uniform_share)

    def _arrange(self) -> None:
        """Another order, and what has been learned since the last one."""
        if self.running is not None:
            self.pi = inclusion_of_size(self._learned(), self.n_drawn)
            self.log_pi = self.pi.float().log_()
        self._deal()
        self._measure()
        self.taken = 0

    def _deal(self) -> None:
        """New neighbours for all items: the order of before, a random one, cut and dealt as a pack of cards is.

        Stacks are read one item after the other, where a look-up of items all over the memory would wait for each.
        """
        n = len(self.order)
        if n < 3:
            return
        stacks = 2 + int(torch.randint(max(math.isqrt(n) - 1, 1), (1,), generator=self.generator))
        first = int(torch.randint(n, (1,), generator=self.generator))
        whole = self.order.roll(first)
        dealt = n - n % stacks
        self.order[:dealt] = whole[:dealt].view(stacks, -1).T.reshape(-1)
        self.order[dealt:] = whole[dealt:]

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
        self._measure()
