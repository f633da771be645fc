"""What every sampler is: a module with its own random numbers and a `sample` method."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from torch import Tensor, nn

from recbole_logq.loss_and_source import CorrectedBy, check_loss
from recbole_logq.losses.terms import Terms
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.pool import Pool, PoolKind
from recbole_logq.samplers.pools import Pools

if TYPE_CHECKING:
    from recbole_logq.losses.loss import Loss


class Sampler(nn.Module, ABC):
    """Builds one pool per training step.

    The random generator is the sampler's own, so a seed gives the same pools whatever else draws numbers; it lives
    on the CPU, so it gives them on every device; and it is part of `state_dict`, so a resumed run continues the
    stream.

    Args:
        counts: Training targets by item.
        count: Size of the pool; None where the sampler takes all it can get.
        seed: Seed of the generator.

    Attributes:
        name: Name in the registry.
        kind: Kind of the pools it builds.
        per_row: Whether every row has columns of its own, `[rows, pool]`.
        reads: Further keyword arguments of `sample`, out of "users" (int64 `[rows]`), "shown" (int64 `[rows]`, the list
            of each row's impression), "segment" (int or scalar, the segment of the data that all rows come from) and
            "given_row" (whether `n_units` leaves out the unit of the row that the pool is for).
        from_batch: Whether columns are positives of the batch, all or some of them: then `log_q` is right only where
            batches are drawn at random.
        random_batches: Whether it is right only where they are drawn from all training targets, not from a segment's.
        law_options: Options that `log_q` alone reads, which a loss without it has no use for.
        resamples: Whether the pool is drawn from once more for every row, by its scores: see `resample`.
        corrected_by: What weighs the draws of `resample` by their law: "resampling" itself, which a loss must not do
            again, or the "loss", which then has to; None where there are none.
        gathers: Whether `sample` itself collects the positives of all processes of a distributed run.
        id_buffers: Names of buffers that hold ids of items; those of a checkpoint are looked at.

    Raises:
        ValueError: `count` is neither None nor a positive integer.
    """

    name: ClassVar[str]
    kind: ClassVar[PoolKind]
    per_row: ClassVar[bool] = False
    reads: ClassVar[tuple[str, ...]] = ()
    from_batch: bool = True
    random_batches: bool = True
    law_options: ClassVar[frozenset[str]] = frozenset()
    resamples: ClassVar[bool] = False
    corrected_by: ClassVar[CorrectedBy | None] = None
    gathers: ClassVar[bool] = False
    id_buffers: ClassVar[tuple[str, ...]] = ()

    numbers: DeviceNumbers | None
    """Numbers of steps of fixed shapes, drawn on the device; None where there are no such steps."""

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__()
        if count is not None:
            self.check_whole(count=count)
        self.count = count
        self.n_items = counts.n_items
        self.generator = torch.Generator()
        self.generator.manual_seed(seed)
        self.numbers = None
        self._numbers_state: Tensor | None = None

    @abstractmethod
    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """The pool of one step.

        Args:
            positives: int64 `[rows]`, positive ids of the step, without padded positions. Its device is the pool's.
            n_units: Number of independently drawn units (users, windows) the rows come from. Default: every row is
                one, as in a two-tower batch of interactions.

        Returns:
            A pool whose `log_q` describes how it was really drawn.
        """

    def forward(self, positives: Tensor, *, n_units: int | None = None, **further: Any) -> Pool:
        return self.sample(positives, n_units=n_units, **further)

    @property
    def takes_pools(self) -> bool:
        """Whether it draws several pools at once: see `sample_pools`."""
        return False

    def sample_pools(
        self, positives: Tensor, pools: int, *, numbers: DeviceNumbers | None = None, real: Tensor | None = None
    ) -> Pools:
        """Several pools of a step at once; only where `takes_pools` says so.

        Args:
            positives: int64 `[rows]`, as in `sample`.
            pools: Number of pools.
            numbers: Random numbers to draw from. Default: the sampler's own, in the order in which `sample`, called
                once a pool, would draw them.
            real: bool `[rows]`, rows that are no padding, with `numbers` alone: as many as a pool takes of a batch, at
                least. Default: all of them.

        Returns:
            Pools of independent draws.
        """
        raise TypeError(f"sampler {self.name!r} draws one pool at a time")

    def resample(self, scores: Tensor, pool: Pool, valid: Tensor | None = None) -> Tensor:
        """The second stage: how often each row draws each column.

        A multiplicity on a shared pool stands for vectors gathered per row: `log_count` is added to the scores.

        Args:
            scores: `[rows, pool]`, after the temperature, detached.
            pool: What `sample` gave.
            valid: bool `[rows, pool]`, columns that may be drawn. Default: all.

        Returns:
            log of the counts, `[rows, pool]`, -inf where a column was not drawn.
        """
        raise TypeError(f"sampler {self.name!r} draws once")

    def resampled_terms(self, terms: Terms, scores: Tensor) -> Terms:
        """What a loss must be told after `resample`, whose mask is a tensor; by default what it was told before."""
        return terms

    @classmethod
    def check_loss(cls, loss: Loss) -> None:
        """Refuse a loss that these pools make no sense with.

        Raises:
            ValueError: The loss does not fit; one line with the reason.
        """
        check_loss(cls, loss)

    @property
    def asks_of_batch(self) -> int | None:
        """How many positives of the batch a pool is to have; None for all of them, or where it takes none."""
        return self.count if self.from_batch else None

    def negatives_of_row(self, pool: Pool) -> int | Tensor:
        """Columns of a pool that a row is set against, its own positive's among them; a tensor where it is padded.

        Of rows with pools of their own it is the mean.
        """
        if pool.ids.dim() > 1:
            return (pool.ids > 0).sum() / max(len(pool.ids), 1)
        return (pool.ids > 0).sum() if pool.padded else pool.ids.shape[-1]

    @property
    def learns(self) -> bool:
        """Whether pools ask for the shares of their columns, and `learn` takes them in."""
        return False

    def learn(self, pools: Sequence[Pool]) -> None:
        """Take in the shares that the columns of a step's pools had; called once after every applied step.

        Args:
            pools: All pools of the step.
        """

    @property
    def pools_to_settle(self) -> int:
        """Steps after which what it has learned hardly depends on where it began; 0 where nothing is learned."""
        return 0

    def settle(self, other: Sampler | None = None) -> None:
        """Draw by what has been learned from the next pool on; for samplers that learn.

        Args:
            other: A sampler of this source, with a pool of any size, whose learning is taken over. Default: its own.
        """

    def after_step(self) -> None:
        """Called once after every optimizer step that was applied; for samplers that learn from the stream."""

    def draw_on(self, device: torch.device, seed: int) -> DeviceNumbers:
        """Draw what steps of fixed shapes need on a device; where a checkpoint was loaded, from where that ended.

        Args:
            device: Device of the model.
            seed: Seed of the generator there.
        """
        if self.numbers is None:
            self.numbers = DeviceNumbers(device, seed)
            if self._numbers_state is not None:
                self.numbers.set_state(self._numbers_state)
        return self.numbers

    def get_extra_state(self) -> dict[str, Any]:
        """State of the generators, for the checkpoint."""
        state = {"generator": self.generator.get_state()}
        return state if self.numbers is None else {**state, "numbers": self.numbers.state()}

    def set_extra_state(self, state: Any) -> None:
        """Continues the stream of a checkpoint (whose tensors may have been mapped to another device)."""
        self.generator.set_state(state["generator"].cpu())
        self._numbers_state = state.get("numbers")
        if self.numbers is not None and self._numbers_state is not None:
            self.numbers.set_state(self._numbers_state)

    @classmethod
    def check_whole(cls, least: int = 1, **options: Any) -> None:
        """Refuse options that are no whole numbers from `least` up.

        Raises:
            ValueError: An option is not such a number; the message names the first.
        """
        for option, value in options.items():
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(
                    f"sampler {cls.name!r}: {option} must be a whole number from {least} up, got {value!r}"
                )

    @classmethod
    def check_number(cls, **options: Any) -> None:
        """Refuse options that are no finite numbers.

        Raises:
            ValueError: An option is not a finite number; the message names the first.
        """
        for option, value in options.items():
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"sampler {cls.name!r}: {option} must be a number, got {value!r}")

    def choose(self, total: int) -> Tensor | None:
        """`count` of `total` positions, without replacement, int64 on the CPU; None if all of them are taken."""
        if self.count is None or self.count >= total:
            return None
        return torch.randperm(total, generator=self.generator)[: self.count]
