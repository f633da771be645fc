"""``--nproc``: the processes of one run on this machine, from their start to the one line that says how they ended.

Not torch's elastic launcher: it leaves its processes alone when it is killed, and a second signal breaks its clean-up.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from typing import Any

from recbole_logq import children
from recbole_logq.errors import WorkError
from recbole_logq.files import scratch_folder
from recbole_logq.launcher import FAILURES, reported_failures

_HOST = "127.0.0.1"
_KILL = 9
_OTHERS_FOLLOW = 3.0
"""Seconds in which the other processes notice by themselves that one is gone, and say where to go on."""


class RanksFailedError(WorkError):
    """A process of the run failed."""

    def __init__(self, line: str, status: int) -> None:
        super().__init__(line)
        self.exit_status = status


def run_ranks(nproc: int, words: list[str]) -> None:
    """Run the command ``words`` in ``nproc`` processes on this machine.

    Raises:
        RanksFailedError: A process failed or was killed; the others have been ended.
        WorkError: The command was interrupted.
    """
    from torch.distributed import TCPStore

    # What torchrun does, too: the processes meet at a store of the launcher's, so that no port can be taken meanwhile.
    store = TCPStore(_HOST, 0, None, is_master=True, wait_for_workers=False)
    with scratch_folder() as folder:
        failures = str(folder)
        ranks: list[subprocess.Popen[bytes]] = []
        ended: dict[int, int] = {}
        try:
            with children.ended_together(ranks):
                for rank in range(nproc):
                    command = [sys.executable, "-m", "recbole_logq", *words]
                    ranks.append(children.start(command, _environment(rank, nproc, store.port, failures)))
                ended = _wait(ranks)
        except KeyboardInterrupt as error:
            lines = [failure["line"] for failure in reported_failures(failures) if failure["rank"] == 0]
            raise WorkError(lines[0] if lines else "interrupted") from error
        if any(process.returncode for process in ranks):
            raise _failure(nproc, ended, reported_failures(failures))


def _environment(rank: int, nproc: int, port: int, failures: str) -> dict[str, str]:
    threads = str(max((os.cpu_count() or 1) // nproc, 1))
    contract = {
        "RANK": rank,
        "LOCAL_RANK": rank,
        "WORLD_SIZE": nproc,
        "LOCAL_WORLD_SIZE": nproc,
        "MASTER_ADDR": _HOST,
        "MASTER_PORT": port,
        "TORCHELASTIC_USE_AGENT_STORE": True,
        "TORCHELASTIC_RESTART_COUNT": 0,
        FAILURES: failures,
    }
    known = {"OMP_NUM_THREADS": threads, **children.environment()}
    return {**known, **{key: str(value) for key, value in contract.items()}}


def _wait(ranks: list[subprocess.Popen[bytes]]) -> dict[int, int]:
    """Wait until all have ended well, or one has not and the others had time to follow.

    Returns:
        The status of each process that ended badly, in the order in which they did.
    """
    ended: dict[int, int] = {}
    limit = None
    while any(process.poll() is None for process in ranks) and (limit is None or time.monotonic() < limit):
        _note(ranks, ended)
        if ended and limit is None:
            limit = time.monotonic() + _OTHERS_FOLLOW
        time.sleep(0.05)
    _note(ranks, ended)
    return ended


def _note(ranks: list[subprocess.Popen[bytes]], ended: dict[int, int]) -> None:
    new = {rank: process.returncode for rank, process in enumerate(ranks) if process.poll() and rank not in ended}
    ended.update(sorted(new.items(), key=lambda item: item[1] != -_KILL))  # seen together: none follows this one


def _failure(nproc: int, ended: dict[int, int], reported: list[dict[str, Any]]) -> RanksFailedError:
    """The failure that came first: what a process says of itself, unless it says that another one is gone."""
    causes = [report for report in reported if not report["follows"]]
    if causes:
        return RanksFailedError(causes[0]["line"], causes[0]["status"])
    line = reported[0]["line"] if reported else ""
    killed = [rank for rank, status in ended.items() if status < 0]
    if line and not killed:
        return RanksFailedError(line, reported[0]["status"])
    rank = (killed or list(ended))[0]
    status = ended[rank]
    ending = f"was killed by {_name(-status)}" if killed else f"ended with status {status}"
    memory = " (out of memory?)" if status == -_KILL else ""
    _, semicolon, advice = line.partition("; ")
    return RanksFailedError(f"process {rank + 1} of {nproc}, rank {rank}, {ending}{memory}{semicolon}{advice}", 1)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
