"""Memory that this process has taken."""

from __future__ import annotations

import sys

import torch


def peak_memory_mb() -> float:
    """Largest resident size of this process so far, in MB."""
    try:
        import resource
    except ImportError:  # Windows
        import psutil

        memory = psutil.Process().memory_info()
        return round(getattr(memory, "peak_wset", memory.rss) / 1e6, 1)
    unit = 1 if sys.platform == "darwin" else 1024
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6, 1)


def peak_device_memory_mb(device: torch.device) -> float | None:
    """Largest memory of an accelerator that tensors of this process took so far, in MB; None on the CPU."""
    return round(torch.cuda.max_memory_allocated(device) / 1e6, 1) if device.type == "cuda" else None
