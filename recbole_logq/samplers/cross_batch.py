"""Cross-batch memory: the batch's positives and those of the steps before."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.transfer import to_device


@samplers.register("cross_batch", summary="the batch's positives and a queue of earlier ones (CBNS); Q as in_batch")
class CrossBatch(Sampler):
    """`count` positions of the batch, and the last `memory` columns that earlier steps had (Wang et al., SIGIR 2021).

    The queue holds ids, and their vectors are computed afresh, with a gradient. With `momentum` it holds vectors too,
    as they were when they entered, computed by a key encoder whose weights are a moving average of the item tower's
    (He et al., "Momentum Contrast", CVPR 2020, equation 2). They cost nothing and have no gradient, so that of the
    batch's columns counts for them too. A momentum of 0 keeps vectors of the tower itself, as old as they are, as Wang
    et al. do. Either way every column was a draw from the training targets, so `Q(d) = p_d`. A step enters the queue
    after it was applied.

    When to use: for many negatives from small batches.

    Goes with: `corrected_logq` and `logq`; `sampled_softmax` as the uncorrected form.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> sampler = get_sampler("cross_batch")(counts, count=2, seed=0, memory=4)
        >>> for _ in range(2): pool = sampler.sample(torch.tensor([1, 2])), sampler.after_step()
        ...
        >>> pool[0].ids  # two of this batch, two of the one before
        tensor([1, 2, 1, 2])

    Args:
        memory: Columns that the queue holds at most.
        warmup_steps: Applied steps before the queue is used, while embeddings still move fast.
        momentum: Momentum of a key encoder whose vectors the queue holds, from 0 up, below 1 (0.999 in the paper), for
            items with a tower or features; None for a queue of ids, whose vectors are computed afresh.

    Raises:
        ValueError: An option is out of range.

    Buffers:
        log_frequency: float32 `[n_items]`, log p.
        queue: int64 `[memory]`, the latest ids first.
        vectors: `[memory, d]`, vectors of the queue, once `hold_vectors` has made room for them.

    Attributes:
        filled: Ids in the queue.
        steps: Applied steps. Both are in `state_dict`, and on the host, which must know how large a pool is.
    """

    name = "cross_batch"
    kind = "draws"
    id_buffers = ("queue",)
    log_frequency: Tensor
    queue: Tensor
    vectors: Tensor | None

    def __init__(
        self,
        counts: TargetCounts,
        *,
        count: int | None,
        seed: int,
        memory: int = 1024,
        warmup_steps: int = 0,
        momentum: float | None = None,
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.check_whole(memory=memory)
        self.check_whole(0, warmup_steps=warmup_steps)
        if momentum is not None:
            self.check_number(momentum=momentum)
            if not 0 <= momentum < 1:
                raise ValueError(f"sampler {self.name!r}: momentum must be from 0 up and below 1, got {momentum!r}")
        self.momentum = momentum
        self.warmup_steps = warmup_steps
        self.register_buffer("log_frequency", counts.log_frequency())
        self.register_buffer("queue", torch.zeros(memory, dtype=torch.int64))
        self.register_buffer("vectors", None)
        self.filled = self.steps = 0
        self._current: Tensor | None = None
        self._current_vectors: Tensor | None = None

    def hold_vectors(self, size: int) -> None:
        """Keep a vector beside every id from now on; each step then hands over those of `entering`.

        Args:
            size: Size of the vectors.
        """
        self.vectors = torch.zeros(len(self.queue), size)

    @property
    def entering(self) -> Tensor:
        """Ids that enter the queue after this step, int64 `[columns]`."""
        return self.queue[:0] if self._current is None else self._current

    def take_vectors(self, vectors: Tensor) -> None:
        """Take the vectors that enter with `entering`, `[columns, d]`."""
        self._current_vectors = vectors.detach()

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`; `n_units` does not matter."""
        chosen = self.choose(len(positives))
        device = positives.device
        origin = torch.arange(len(positives), device=device) if chosen is None else to_device(chosen, device)
        current = positives[origin]
        self._current = current.detach()
        ids, stored = current, None
        if self.steps >= self.warmup_steps:
            remembered = self.queue[: self.filled].to(device)
            ids = torch.cat([current, remembered])
            origin = torch.cat([origin, torch.full_like(remembered, -1)])
            stored = None if self.vectors is None else self.vectors[: self.filled].to(device)
        return Pool(
            ids=ids,
            kind=self.kind,
            origin=origin,
            log_q=self._log_q_of(ids),
            law=self._log_q_of,
            from_batch=True,
            stored=stored,
        )

    def after_step(self) -> None:
        """The step's own columns enter the queue; the oldest leave.

        Raises:
            ValueError: The queue holds vectors, and nobody has handed over those of the step.
        """
        self.steps += 1
        if self._current is None:
            return
        if self.vectors is not None:
            if self._current_vectors is None:
                raise ValueError(f"sampler {self.name!r} holds vectors: call take_vectors before after_step")
            self._enter(self.vectors, self._current_vectors)
        self.filled = self._enter(self.queue, self._current)
        self._current = self._current_vectors = None

    def _enter(self, queue: Tensor, current: Tensor) -> int:
        """Put rows at the front of a queue; how many it holds then."""
        latest = torch.cat([current.to(queue), queue[: self.filled]])[: len(queue)]
        queue[: len(latest)] = latest
        return len(latest)

    def get_extra_state(self) -> dict[str, Any]:
        """As `Sampler.get_extra_state`, with what is counted."""
        return {**super().get_extra_state(), "filled": self.filled, "steps": self.steps}

    def set_extra_state(self, state: Any) -> None:
        """As `Sampler.set_extra_state`."""
        super().set_extra_state(state)
        self.check_whole(0, filled=state["filled"], steps=state["steps"])
        if state["filled"] > len(self.queue):
            raise ValueError(f"filled={state['filled']}: the queue holds {len(self.queue)}")
        self.filled, self.steps = state["filled"], state["steps"]

    def _log_q_of(self, ids: Tensor) -> Tensor:
        return self.log_frequency[ids]
