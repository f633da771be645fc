"""Planned runs on a Ray cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from recbole_logq import children
from recbole_logq.comparisons.run_record import write_record
from recbole_logq.comparisons.runs import Process, Report, Store, failed
from recbole_logq.experiment.plan import PlannedRun
from recbole_logq.experiment.ray_cluster import ray_session, reason_of
from recbole_logq.experiment.run_store import Record
from recbole_logq.files import scratch_folder


def run_on_cluster(store: Store, runs: Sequence[PlannedRun], address: str, report: Report) -> None:
    """Run everything on an existing cluster, one core a run; records are written here, wherever a run was.

    Args:
        store: Store that the records go to.
        runs: Runs that are missing.
        address: ``auto``, ``host:port`` or a ``ray://`` address.
        report: Function called when a run has ended, well or not.

    Raises:
        RequestError: Ray is not installed, or there is no cluster at the address.
    """
    with ray_session(address) as ray:
        # A lost node takes its runs along; they are started again elsewhere.
        task = ray.remote(num_cpus=1, max_retries=3)(_elsewhere)
        started = {task.remote(asdict(run)): run for run in runs}
        while started:
            (finished,), _ = ray.wait(list(started))
            run = started.pop(finished)
            try:
                record = ray.get(finished)
            except ray.exceptions.RayError as error:
                record = failed(run, f"{type(error).__name__}: {reason_of(error)}")
            write_record(store.file(run), record)
            report(run, record)


def _elsewhere(planned: dict[str, Any]) -> Record:
    """A run on whatever node this is, in a process of its own, so that one run leaves nothing behind for the next."""
    import time

    run = PlannedRun(**planned)
    with scratch_folder() as folder:
        process = Process(Store(folder), run, 1)
        try:
            while (record := process.record()) is None:
                time.sleep(0.2)
        finally:
            children.end([process.process])
    if record["result"] is not None:
        record["result"]["checkpoint"] = None  # it was on the node, and is gone
    return record
