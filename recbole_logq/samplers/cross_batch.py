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

    The queue holds ids, and their vectors are looked up afresh: stored vectors, which the paper keeps because its
    towers are costly, would only be staler. Every column was a draw from the training targets, so `Q(d) = p_d`. A step
    enters the queue after it was applied.

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

    Raises:
        ValueError: An option is out of range.

    Buffers:
        log_frequency: float32 `[n_items]`, log p.
        queue: int64 `[memory]`, the latest ids first.

    Attributes:
        filled: Ids in the queue.
        steps: Applied steps. Both are in `state_dict`, and on the host, which must know how large a pool is.
    """

    name = "cross_batch"
    kind = "draws"
    id_buffers = ("queue",)
    log_frequency: Tensor
    queue: Tensor

    def __init__(
        self, counts: TargetCounts, *, count: int | None, seed: int, memory: int = 1024, warmup_steps: int = 0
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.check_whole(memory=memory)
        self.check_whole(0, warmup_steps=warmup_steps)
        self.warmup_steps = warmup_steps
        self.register_buffer("log_frequency", counts.log_frequency())
        self.register_buffer("queue", torch.zeros(memory, dtype=torch.int64))
        self.filled = self.steps = 0
        self._current: Tensor | None = None

    def sample(self, positives: Tensor, *, n_units: int | None = None) -> Pool:
        """As `Sampler.sample`; `n_units` does not matter."""
        chosen = self.choose(len(positives))
        device = positives.device
        origin = torch.arange(len(positives), device=device) if chosen is None else to_device(chosen, device)
        current = positives[origin]
        self._current = current.detach()
        ids = current
        if self.steps >= self.warmup_steps:
            remembered = self.queue[: self.filled].to(device)
            ids = torch.cat([current, remembered])
            origin = torch.cat([origin, torch.full_like(remembered, -1)])
        return Pool(
            ids=ids, kind=self.kind, origin=origin, log_q=self._log_q_of(ids), law=self._log_q_of, from_batch=True
        )

    def after_step(self) -> None:
        """The step's own columns enter the queue; the oldest leave."""
        self.steps += 1
        if self._current is None:
            return
        latest = torch.cat([self._current.to(self.queue.device), self.queue[: self.filled]])[: len(self.queue)]
        self.queue[: len(latest)] = latest
        self.filled = len(latest)
        self._current = None

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
