"""What a result says of the machine and the packages that it was made with."""

from __future__ import annotations

import platform
import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from recbole_logq.version import __version__


def versions() -> dict[str, str]:
    """Versions of everything that can change a number."""
    names = {"python": platform.python_version(), "recbole-logq": __version__}
    for package in ("recbole", "torch", "numpy", "pandas", "scipy"):
        try:
            names[package] = version(package)
        except PackageNotFoundError:
            names[package] = "not installed"
    return names


def device_facts(device: torch.device) -> dict[str, Any]:
    """Name of what was computed on, and the largest memory of an accelerator that was taken so far, in MB."""
    if device.type != "cuda":
        return {"name": device.type}
    peak = torch.cuda.max_memory_allocated(device) / 1e6
    return {"name": torch.cuda.get_device_name(device), "peak_memory_mb": round(peak, 1)}


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
