"""A comparison from its plan to its report: what is missing is run, what is there is read.

What imports torch is imported in the functions: the process that the runs are copied from imports it at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from recbole_logq.comparisons.runs import Store, run_in_processes
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.locks import alone_in, refuse_other_content
from recbole_logq.experiment.plan import Plan, PlannedRun, make_plan
from recbole_logq.experiment.ray_cluster import check_address, require_ray
from recbole_logq.experiment.run_store import Record
from recbole_logq.files import folder_name
from recbole_logq.prepared import PreparedProcesses
from recbole_logq.terminal import tell

_FILES = {".lock", "runs", *(f"report.{suffix}" for suffix in ("html", "md", "csv", "json"))}


def compare(
    config_file_list: Sequence[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    folder: str | Path | None = None,
    processes: int = 1,
    address: str | None = None,
) -> dict[str, Any]:
    """Run every model with every seed, test the differences, write the report.

    Args:
        config_file_list: YAML files with ``models``, ``dataset``, ``seeds``, ``settings``, ...: see :func:`make_plan`.
        config_dict: The same keys and any setting of all models; wins over the files.
        folder: Folder of the records and the report, ``comparisons/<title>`` by default. Runs that are there are not
            repeated.
        processes: Runs at a time on this machine.
        address: Address of a Ray cluster that does the runs instead, ``auto``, ``host:port`` or ``ray://host:port``.

    Returns:
        ``records`` of all runs, ``comparisons`` with the reference, and ``report``: the paths of its files.

    Raises:
        RequestError: The plan makes no sense, before anything runs, or the results cannot stand side by side.
        WorkError: No run ended well, or the work was interrupted.
    """
    plan = make_plan(config_file_list, config_dict or {})
    if address is not None:
        require_ray("address")
        check_address(address)
    store = Store(folder or Path("comparisons") / folder_name(plan.title))
    refuse_other_content(store.folder, "comparison", _FILES, ".lock", "runs")
    n_missing = len(store.missing(plan.runs))
    # One run alone would wait for the imports either way.
    with PreparedProcesses() if n_missing > 1 and address is None else nullcontext() as prepared:
        configs = _check(plan)
        if n_missing:
            from recbole_logq.comparisons.common_rows import check_common_rows

            for configs_of_dataset in configs.values():
                check_common_rows(configs_of_dataset)
        return _compare(plan, store, processes, address, prepared)


def _compare(
    plan: Plan, store: Store, processes: int, address: str | None, prepared: PreparedProcesses | None
) -> dict[str, Any]:
    from recbole_logq.comparisons.cluster import run_on_cluster

    with alone_in(store.folder, "comparison"):
        missing = store.missing(plan.runs)
        tell(f"{len(plan.runs) - len(missing)} of {len(plan.runs)} runs are done; results in {store.folder}")
        report = _Progress(len(missing), processes)
        try:
            if missing and address:
                run_on_cluster(store, missing, address, report)
            elif missing:
                run_in_processes(store, missing, processes, report, prepared)
        except KeyboardInterrupt as error:
            raise WorkError("interrupted; the same command goes on with what is missing") from error
        records = [record for run in plan.runs if (record := store.read(run)) is not None]
        return _finish(plan, store, records)


def _finish(plan: Plan, store: Store, records: list[Record]) -> dict[str, Any]:
    from recbole_logq.data.dataset.protocol import require_common
    from recbole_logq.report import write_report

    finished = [record for record in records if record["status"] == "done"]
    if not finished:
        raise WorkError(f"no run ended well; the first says: {records[0]['error'] if records else '-'}")
    for dataset in dict.fromkeys(record["dataset"] for record in finished):
        require_common([record["result"] for record in finished if record["dataset"] == dataset])
    comparisons = differences(plan, finished)
    _say_what_is_not_tested(plan, finished, comparisons)
    paths = write_report(records, comparisons, store.folder, plan.title)
    return {"records": records, "comparisons": comparisons, "report": paths}


def _say_what_is_not_tested(plan: Plan, finished: Sequence[Record], comparisons: Sequence[dict[str, Any]]) -> None:
    """A line for each reason why a model has no verdict, or some users no part in it."""
    lines = {}
    for dataset in dict.fromkeys(record["dataset"] for record in finished):
        tested = {row["name"] for row in comparisons if row["dataset"] == dataset}
        for record in (record for record in finished if record["dataset"] == dataset):
            if record["name"] not in tested and record["name"] != plan.reference:
                reason = record.get("unranked") or "it or the reference lacks seeds, users or values of users"
                lines[dataset, record["name"]] = f"{dataset}: no verdict on {record['name']}: {reason}"
        left_out = {row["users_left_out"] for row in comparisons if row["dataset"] == dataset}
        if any(left_out):
            lines[dataset, ""] = f"{dataset}: users tested under some seeds only, who are left out: {max(left_out):,}"
    if lines:
        print("\n".join(lines.values()), flush=True)


def differences(plan: Plan, records: Sequence[Record]) -> list[dict[str, Any]]:
    """Every model against the reference, by dataset and metric, over the seeds and users that both have.

    A model that lacks a seed, or values of users, is left out: there are no pairs.

    Raises:
        RequestError: Two models have different test users under one seed.
    """
    from recbole_logq.comparisons.user_values import CommonUsers
    from recbole_logq.evaluation.statistics import compare_with

    rows: list[dict[str, Any]] = []
    for dataset in dict.fromkeys(record["dataset"] for record in records):
        by_name: dict[str, dict[int, Record]] = {}
        for record in records:
            if record["dataset"] == dataset and record["per_user"]:
                by_name.setdefault(record["name"], {})[record["seed"]] = record
        base = by_name.pop(plan.reference, None)
        if base is None:
            continue
        compared = {
            name: {seed: runs[seed] for seed in base} for name, runs in by_name.items() if runs.keys() >= base.keys()
        }
        common = CommonUsers({plan.reference: base, **compared})
        if not compared or len(common.users) < 2:
            continue
        for metric in next(iter(base.values()))["per_user"]:
            values = {name: common.matrix(runs, metric) for name, runs in compared.items()}
            for name, result in compare_with(common.matrix(base, metric), values).items():
                row = {"dataset": dataset, "name": name, "reference": plan.reference, "metric": metric}
                row |= {"difference": result.difference, "verdict": result.verdict}
                row |= {"low": result.difference - result.half_width, "high": result.difference + result.half_width}
                row |= {"p_users": result.p_users, "p_seeds": result.p_seeds, "p_value": result.p_value}
                rows.append({**row, "users": len(common.users), "users_left_out": common.left_out})
    return rows


def _check(plan: Plan) -> dict[str, list[tuple[str, Any]]]:
    """Everything that the settings show to go wrong, before anything runs.

    Returns:
        The configurations of a dataset's models, with their names.
    """
    from recbole_logq.config import Config
    from recbole_logq.data.prepare import fetch
    from recbole_logq.experiment.processes import of_one_process
    from recbole_logq.experiment.tracking import check_reachable

    configs: dict[str, list[tuple[str, Any]]] = {}
    protocols: dict[str, tuple[str, dict[str, Any]]] = {}
    for run in plan.runs:
        if run.seed != plan.runs[0].seed:
            continue
        try:
            config = of_one_process(Config(run.model, run.dataset, None, run.settings))
        except RequestError as error:
            raise RequestError(f"{run.name}: {error}") from error
        if run.dataset not in protocols:
            check_reachable(config)
            fetch(config)
        configs.setdefault(run.dataset, []).append((run.name, config))
        protocol = {
            key: config[key] for key in ("filter_history", "metrics", "topk", "recbole_order", "benchmark_filename")
        }
        protocol["request_time"] = config["request_time"]
        protocol["eval_args"] = {key: config["eval_args"].get(key) for key in ("split", "order", "mode")}
        name, first = protocols.setdefault(run.dataset, (run.name, protocol))
        for key, value in protocol.items():
            if value != first[key]:
                raise RequestError(
                    f"{name} and {run.name} would be measured differently: {key} is {first[key]} and {value}; set it "
                    f"for all, --{key}=... or under settings"
                )
    return configs


class _Progress:
    """A line for every run that has ended, and how long the rest may take."""

    def __init__(self, total: int, processes: int) -> None:
        self.total, self.ended, self.start = total, 0, time.perf_counter()

    def __call__(self, run: PlannedRun, record: Record) -> None:
        self.ended += 1
        if record["status"] == "done":
            result = record["result"]
            metric, value = next(iter(result["test_result"].items()))
            outcome = f"{metric} {value:.4f}, {sum(result['seconds'].values()):.0f} s"
        else:
            outcome = f"FAILED: {record['error']}"
        remaining = (time.perf_counter() - self.start) / self.ended * (self.total - self.ended)
        estimate = f", about {remaining / 60:.0f} min left" if self.ended < self.total else ""
        tell(f"[{self.ended}/{self.total}] {run.name}, {run.dataset}, seed {run.seed}: {outcome}{estimate}")
