"""Ends what is left of a Ray cluster of one command when the command is over, killed or not.

    python -m recbole_logq.experiment.ray_reaper

Numbers of processes come in on standard input, which the system closes when the command is gone. Ray's own processes go
down with their driver, but two helpers look for the cluster for a minute more.
"""

from __future__ import annotations

import sys
from contextlib import suppress

import psutil

PATIENCE = 3.0


def main() -> None:
    """Wait for the end of the command, then for that of the processes, and then end them."""
    processes = []
    for line in sys.stdin:
        with suppress(psutil.Error):
            processes.append(psutil.Process(int(line)))  # which knows when it began: no other of its number is meant
    _, alive = psutil.wait_procs(processes, timeout=PATIENCE)
    for process in alive:
        with suppress(psutil.Error):
            process.kill()


if __name__ == "__main__":
    main()
