"""What torchrun, or ``--nproc``, tells the processes it starts. Standard library only: known before torch is there."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

FAILURES = "RECBOLE_LOGQ_FAILURES"
"""Names the folder where processes of ``--nproc`` say why they failed, so that the command can say it once."""


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


def report_failure(line: str, status: int, follows: bool) -> bool:
    """Leave the line that says what went wrong to whoever has started this process.

    Args:
        line: What went wrong.
        status: The exit status.
        follows: Whether it is the end of another process that made this one fail, or a signal to all of them.

    Returns:
        Whether somebody will say it.
    """
    folder = os.environ.get(FAILURES)
    if folder is None or not started_by_launcher():
        return False
    content = {"rank": launched_rank(), "line": line, "status": status, "follows": follows, "time": time.time()}
    try:
        (Path(folder) / f"{launched_rank()}.json").write_text(json.dumps(content), encoding="utf-8")
    except OSError:  # such as a full disk, which may be the very failure
        return False
    return True


def reported_failures(folder: str | Path) -> list[dict[str, Any]]:
    """What processes have left there, the earliest first."""
    failures = []
    for file in Path(folder).glob("*.json"):
        try:
            failures.append(json.loads(file.read_text(encoding="utf-8")))
        except ValueError:  # killed while it wrote
            continue
    return sorted(failures, key=lambda failure: failure["time"])
