"""What a result says of the machine and the packages that it was made with."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import torch

from recbole_logq.training.memory import peak_device_memory_mb
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
    return {"name": torch.cuda.get_device_name(device), "peak_memory_mb": peak_device_memory_mb(device)}
