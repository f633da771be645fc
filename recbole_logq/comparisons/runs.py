"""Planned runs in processes of their own, several at a time; what is done already is not done again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from recbole_logq import children
from recbole_logq.comparisons.run_record import read_record, write_record
from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import PlannedRun
from recbole_logq.experiment.run_store import Record
from recbole_logq.files import write_json
from recbole_logq.prepared import PreparedProcess, PreparedProcesses
from recbole_logq.settings import DATA_PATH
from recbole_logq.tracking_settings import local_uri

Report = Callable[[PlannedRun, Record], None]


class Store:
    """Records of runs under a folder, one JSON file each.

    Args:
        folder: Folder of the records, made when the first one is stored.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder).absolute()

    def file(self, run: PlannedRun) -> Path:
        """Where a run's record is or will be."""
        return self.folder / "runs" / f"{run.key}.json"

    def read(self, run: PlannedRun) -> Record | None:
        """See :func:`recbole_logq.comparisons.run_record.read_record`."""
        return read_record(self.file(run), run)

    def missing(self, runs: Sequence[PlannedRun]) -> list[PlannedRun]:
        """Runs that are not done; one that failed may have been repaired since and is tried again."""
        return [run for run in runs if (self.read(run) or {}).get("status") != "done"]


def failure_reason(log: Path, start: int, status: int) -> str:
    """Why a process failed, in one line.

    Args:
        log: File of its output, after that of earlier attempts.
        start: Place where its own part begins, in bytes.
        status: Exit status; negative for a signal.
    """
    lines = [line for line in log.read_bytes()[start:].decode(errors="replace").splitlines() if line.strip()]
    last = lines[-1] if lines else "-"
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    if errors and status in {1, 2}:
        return errors[-1]
    if status < 0:
        ending = f"killed by signal {-status}" + (" (out of memory?)" if status == -9 else "")
    else:
        ending = f"exit status {status}"
        # CUDA's errors have lines of advice after the one that says what went wrong.
        traceback = [place for place, line in enumerate(lines) if line.startswith("Traceback (most recent call last)")]
        after = lines[traceback[-1] + 1 :] if traceback else []
        last = next((line for line in after if not line[0].isspace()), last)
    return f"{ending}; {log} ends with: {last[:200]}"


class Process:
    """A run in a process of its own, in a folder of its own.

    Args:
        store: Store that its record goes to.
        run: Run to do.
        threads: Number of threads of its computation.
        prepared: What starts it in an instant; a fresh process where that cannot, or for None.
    """

    process: subprocess.Popen[bytes] | PreparedProcess

    def __init__(self, store: Store, run: PlannedRun, threads: int, prepared: PreparedProcesses | None = None) -> None:
        self.store, self.run = store, run
        folder = store.file(run).with_suffix("")
        folder.mkdir(parents=True, exist_ok=True)
        spec = folder / "spec.json"
        data = Path(run.settings.get("data_path", DATA_PATH)).absolute()  # the process stands in another folder
        places = {"data_path": str(data), **local_uri(run.settings)}
        write_json(spec, {**asdict(run), **places, "command": run.command})
        self.log = folder / "output.log"
        words = ["recbole_logq.comparisons.one_run", str(spec), str(store.file(run))]
        environment = {**children.environment(), "OMP_NUM_THREADS": str(threads)}
        with self.log.open("ab") as log:
            self.start = log.tell()
            self.process = (prepared and prepared.start(words, environment, folder, self.log)) or children.start(
                [sys.executable, "-m", *words],
                environment,
                cwd=folder,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # Ctrl-C is for the comparison, which tells its processes in turn
            )

    def record(self) -> Record | None:
        """The record once the process has ended, None before."""
        status = self.process.poll()
        if status is None:
            return None
        if self.process.stdin is not None:
            self.process.stdin.close()
        reason = None
        try:
            ended = self.store.read(self.run) if status == 0 else None
        except RequestError as error:  # the others go on
            ended, reason = None, str(error)
        if ended is None:
            reason = reason or failure_reason(self.log, self.start, status)
            ended = failed(self.run, reason.replace(f"{self.store.folder}{os.sep}", ""))  # which may be moved
            write_record(self.store.file(self.run), ended)
        return ended


def failed(run: PlannedRun, reason: str) -> Record:
    """The record of a run that did not end well."""
    kept = {"name": run.name, "model": run.model, "dataset": run.dataset, "seed": run.seed, "command": run.command}
    return {**kept, "status": "failed", "error": reason, "result": None, "measures": {}, "users": [], "per_user": {}}


def run_in_processes(
    store: Store,
    runs: Sequence[PlannedRun],
    processes: int,
    report: Report,
    prepared: PreparedProcesses | None = None,
) -> None:
    """Run everything, ``processes`` at a time.

    Args:
        store: Store that the records go to.
        runs: Runs that are missing.
        processes: Number of runs at a time; the machine's cores are shared out among them.
        report: Function called when a run has ended, well or not.
        prepared: What starts the runs; fresh processes without.
    """
    threads = max((os.cpu_count() or 1) // processes, 1)
    waiting = list(runs)
    running: list[Process] = []
    pause = prepared.pause if prepared else time.sleep
    try:
        while waiting or running:
            while waiting and len(running) < processes:
                running.append(Process(store, waiting.pop(0), threads, prepared))
            for process in list(running):
                if (record := process.record()) is not None:
                    running.remove(process)
                    report(process.run, record)
            if running:
                pause(0.1)
    finally:
        children.end([process.process for process in running])  # their last checkpoints stay
