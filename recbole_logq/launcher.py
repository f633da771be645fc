"""What torchrun, or ``--nproc``, tells the processes it starts. Standard library only: known before torch is there."""

from __future__ import annotations

import os


def started_by_launcher() -> bool:
    """Whether this process is one of several that a launcher has started."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def launched_rank() -> int:
    """The process's number among all; 0 without a launcher."""
    return int(os.environ["RANK"]) if started_by_launcher() else 0


def launched_local_rank() -> int:
    """The process's number on its machine, which is that of its device; 0 without a launcher."""
    return int(os.environ.get("LOCAL_RANK", 0))


def launched_processes() -> int:
    """How many there are; 1 without a launcher."""
    return int(os.environ["WORLD_SIZE"]) if started_by_launcher() else 1
