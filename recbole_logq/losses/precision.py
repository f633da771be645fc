"""Losses compute in float32 or better, whatever the model around them runs in."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def working_dtype(*tensors: Tensor) -> torch.dtype:
    """float32 for half-precision inputs, otherwise the widest of the inputs' floating types."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def no_autocast(tensor: Tensor) -> AbstractContextManager[None]:
    """A context in which matrix products keep the precision of their operands.

    Autocast would run them in bfloat16, which resolves scores of several hundred to steps of 2 to 4.
    """
    device = tensor.device.type
    return torch.autocast(device, enabled=False) if torch.amp.is_autocast_available(device) else nullcontext()
