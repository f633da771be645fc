"""The training step of batches whose shapes are always the same, captured on a GPU and called as it is elsewhere."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.clip_grad import clip_grad_norm_

from recbole_logq.data.batches.loaders import InteractionLoader, WindowLoader
from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.models.fixed_shapes import reason_against
from recbole_logq.training.lazy_adam import merge_rows
from recbole_logq.training.step_graph import StepGraph


class FixedStep:
    """Forward, backward and optimizer of planned batches.

    The rate of the schedule goes to the device before a step, so that a captured one reads what the schedule says now.

    Args:
        model: The model, in training.
        optimizer: Its optimizer.
        device: Device of the model.
        seed: Seed of the numbers that are drawn on the device.
        clip: Arguments of ``clip_grad_norm_``; None for no clipping.
        bfloat16: Whether the model runs under autocast.
        captured: Whether the step is captured, where the device can.
    """

    def __init__(
        self,
        model: Any,
        optimizer: torch.optim.Optimizer,
        device: torch.device,
        seed: int,
        clip: dict[str, Any] | None = None,
        bfloat16: bool = False,
        captured: bool = True,
    ) -> None:
        self.model, self.optimizer, self.device, self.clip, self.bfloat16 = model, optimizer, device, clip, bfloat16
        self._plan: Tensor | None = None
        self._make: Any = None
        self._rates = [torch.zeros((), device=device) for _ in optimizer.param_groups]
        self._rates_now: list[float] = []
        numbers = model.sampler.draw_on(device, seed)
        if captured and device.type == "cuda":
            for group in optimizer.param_groups:
                group["capturable"] = True
            self._run: Any = StepGraph(self._step, device, [numbers])
        else:
            self._run = self._step

    def __call__(self, batch: PlannedBatch) -> Tensor:
        """One step; its loss, on the device and not asked for, which the next step overwrites."""
        if self._plan is None:
            self._plan, self._make = torch.empty_like(batch.plan), batch.make
        self._plan.copy_(batch.plan)
        rates = [float(group["lr"]) for group in self.optimizer.param_groups]
        if rates != self._rates_now:
            for buffer, rate in zip(self._rates, rates, strict=True):
                buffer.fill_(rate)
            self._rates_now = rates
        on_device = self.device.type == "cuda"
        try:
            self.model.fixed_shapes = True
            if on_device:
                for group, buffer in zip(self.optimizer.param_groups, self._rates, strict=True):
                    group["lr"] = buffer
            loss: Tensor = self._run()
        finally:
            self.model.fixed_shapes = False
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate
        self.model.statistics.add_kept(batch.n_positives, self._columns)
        return loss

    @property
    def _columns(self) -> int:
        sampler = self.model.sampler
        return int(sampler.count or self.model.n_items - 1)

    def _step(self) -> Tensor:
        model = self.model
        self.optimizer.zero_grad(set_to_none=True)
        with torch.autocast(self.device.type, dtype=torch.bfloat16) if self.bfloat16 else nullcontext():
            loss: Tensor = model.calculate_loss(self._make(self._plan))
        loss.backward()
        if self.clip:
            merge_rows(model)
            clip_grad_norm_(model.parameters(), **self.clip)
        self.optimizer.step()
        model.after_step()
        return loss.detach()


def why_not(config: Any, model: Any, loader: Any) -> str | None:
    """Why the steps of a model cannot have fixed shapes; None where they can."""
    if not isinstance(loader, InteractionLoader | WindowLoader):
        return f"the batches of {type(model).__name__} have shapes of their own; leave cuda_graph out"
    return reason_against(config, model.loss, model.sampler)
