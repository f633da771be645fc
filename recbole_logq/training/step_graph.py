"""A step as one CUDA graph: some hundred kernels for one launch; torch only."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from recbole_logq.samplers.device_numbers import DeviceNumbers

WARM_UP = 3
"""Steps before the capture: what is allocated once, such as an optimizer's moments, must be there by then."""


class StepGraph:
    """Calls a step and, after a few of them, replays it.

    The step must work in place on what it reads and changes, have the same shapes every time and ask the device for
    nothing; on another device than a GPU it is called as it is.

    Args:
        step: Function that takes a whole step and returns its loss.
        device: Device of the step.
        numbers: Generators that the step draws from beside torch's own.
    """

    def __init__(self, step: Callable[[], Tensor], device: torch.device, numbers: Sequence[DeviceNumbers] = ()) -> None:
        self.step, self.device, self.numbers = step, device, numbers
        self.calls = 0
        self.graph: torch.cuda.CUDAGraph | None = None
        self.result: Tensor | None = None
        self._stream = torch.cuda.Stream(device) if device.type == "cuda" else None

    def __call__(self) -> Tensor:
        """One step; the loss, which the next call overwrites."""
        self.calls += 1
        if self._stream is None:
            return self.step()
        if self.calls <= WARM_UP:
            current = torch.cuda.current_stream(self.device)
            self._stream.wait_stream(current)
            with torch.cuda.stream(self._stream):
                loss = self.step()
            current.wait_stream(self._stream)
            return loss
        if self.graph is None:
            self.graph = torch.cuda.CUDAGraph()
            for numbers in self.numbers:
                numbers.register(self.graph)
            with torch.cuda.graph(self.graph, stream=self._stream):
                self.result = self.step()
        self.graph.replay()
        assert self.result is not None
        return self.result
