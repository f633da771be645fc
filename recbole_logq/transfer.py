"""Transfer from the host's memory to the model's device, without anyone waiting. Torch only."""

from __future__ import annotations

import torch
from torch import Tensor


def to_device(values: Tensor, device: torch.device | str) -> Tensor:
    """``values`` on a device; the same tensor where it is there already.

    Numbers are drawn on the host, so that a seed gives the same ones on every device. From pageable memory an
    accelerator's copy waits for everything before it; from pinned memory it is one more entry in its queue, and the
    allocator keeps the memory until the copy is done.
    """
    device = torch.device(device)
    if values.device.type == "cpu" and device.type == "cuda":
        values = values.pin_memory()
    return values.to(device, non_blocking=True)
