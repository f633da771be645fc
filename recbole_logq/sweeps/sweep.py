"""A sweep from its plan to its report."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from recbole_logq.early import check_request
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.locks import alone_in, refuse_other_content
from recbole_logq.experiment.ray_cluster import check_address, ray_session, require_ray
from recbole_logq.experiment.run_store import Record
from recbole_logq.files import folder_name, write_json, write_text
from recbole_logq.plugins import plugin_names
from recbole_logq.settings import DATA_PATH
from recbole_logq.sweeps.located import located, read_results
from recbole_logq.sweeps.paths import refuse_links
from recbole_logq.sweeps.sweep_plan import Search, SweepPlan, make_sweep
from recbole_logq.sweeps.trial_records import Records
from recbole_logq.terminal import tell
from recbole_logq.tracking_settings import local_uri

OVER = "over.json"
"""Says that all trials of a search are over."""


def sweep(
    config_file_list: Sequence[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    params_file: str | None = None,
    folder: str | Path | None = None,
    address: str | None = None,
    resume: bool = False,
) -> dict[str, Any]:
    """Search the settings of one or several models by their validation score, test each winner once, write the report.

    Args:
        config_file_list: YAML files with ``model``, ``dataset``, ``space``, ``settings``, ...: see :func:`make_sweep`.
        config_dict: The same keys and any setting of the training; wins over the files.
        params_file: The space as a range file of RecBole's.
        folder: Folder of all output, ``sweeps/<title>`` by default.
        address: Address of a Ray cluster, ``auto``, ``host:port`` or ``ray://host:port``; this machine alone by
            default.
        resume: Whether to go on with an interrupted sweep.

    Returns:
        ``title``, ``folder`` and ``searches``, each with ``name``, ``model``, ``dataset``, ``metric``, ``bigger``,
        ``winner`` (its number), ``best`` (the path of its YAML), ``test_result``, ``tested`` and ``trials``.

    Raises:
        RequestError: The request makes no sense, before Ray starts.
        WorkError: No trial of a model ended well, or the work was interrupted.
    """
    plan = make_sweep(config_file_list, config_dict or {}, params_file)
    require_ray("sweep", *(["optuna"] if plan.settings.search == "optuna" else []))
    if address is not None:
        check_address(address)
    for search in plan.searches:
        label = f"{search.name}: " if len(plan.searches) > 1 else ""
        names = [parameter.name.partition(".")[0] for parameter in search.space]
        try:
            check_request(search.model, search.dataset, search.settings, searched=names)
        except RequestError as error:
            raise RequestError(f"{label}{error}") from error
    from recbole_logq.sweeps.sweep_check import check

    at_work = _absolute(plan)
    with _devices_kept():
        configs = check(at_work)
    target = Path(folder or Path("sweeps") / folder_name(plan.title)).absolute()
    results = _state(target, plan, resume)
    if results is not None:
        tell(f"this sweep is finished; results in {target}")
        return _with_a_winner(results)
    with alone_in(target, "sweep"):
        refuse_links(target, [folder_name(search.name) for search in plan.searches])
        write_json(target / "plan.json", plan.content())
        try:
            _search_all(at_work, target, address, configs)
        except KeyboardInterrupt as error:
            raise WorkError("interrupted; the same command with --resume goes on") from error
        return _with_a_winner(_finish(plan, target, configs))


def _state(folder: Path, plan: SweepPlan, resume: bool) -> dict[str, Any] | None:
    """The results where the sweep is finished; None where it starts or goes on."""
    stored = folder / "plan.json"
    if not stored.is_file():
        refuse_other_content(folder, "sweep", {".lock"}, "plan.json", ".lock")
        if resume:
            raise RequestError(f"there is nothing to resume in {folder}: leave --resume out, or set --folder=FOLDER")
        return None
    try:
        before = json.loads(stored.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RequestError(f"cannot read {stored}: {error}") from error
    if before != json.loads(json.dumps(plan.content())):
        raise RequestError(f"another sweep lies in {folder}: set --folder=FOLDER, or remove it")
    finished = folder / "results.json"
    if finished.is_file():
        return located(read_results(finished), folder)
    if not resume:
        raise RequestError(f"an unfinished sweep lies in {folder}: --resume goes on with it, --folder= starts another")
    return None


def _search_all(plan: SweepPlan, folder: Path, address: str | None, configs: dict[str, Any]) -> None:
    from recbole_logq.sweeps.engine import folder_of, run_search
    from recbole_logq.sweeps.shared import prepare

    tell(f"results go to {folder}")
    missing = [search for search in plan.searches if not (folder_of(folder, search) / OVER).is_file()]
    if not missing:  # cut off between the last trial and the report
        return
    with ray_session(address) as ray:
        for search in missing:
            config = configs[search.name]
            with _devices_kept():
                prepared = prepare(config)
            records = Records(folder_of(folder, search), bool(config["valid_metric_bigger"]))
            run_search(ray, search, plan.settings, records, config, prepared)
            if records.interrupted():
                raise WorkError("some trials never came to an end; the same command with --resume goes on")
            write_json(records.folder / OVER, {"trials": len(records.ended())})


def _finish(plan: SweepPlan, folder: Path, configs: dict[str, Any]) -> dict[str, Any]:
    from recbole_logq.sweeps.engine import folder_of
    from recbole_logq.sweeps.sweep_page import sweep_page
    from recbole_logq.sweeps.sweep_results import write_best, write_results
    from recbole_logq.sweeps.winner import tested

    results: list[dict[str, Any]] = []
    for search in plan.searches:
        config = configs[search.name]
        records = Records(folder_of(folder, search), bool(config["valid_metric_bigger"]))
        trials = records.ended()
        result: dict[str, Any] = {"name": search.name, "model": search.model, "dataset": search.dataset}
        result |= {"metric": str(config["valid_metric"]), "bigger": records.bigger, "winner": None, "best": None}
        result |= {"test_result": None, "tested": None, "trials": trials}
        if winner := records.winner():
            best = records.folder / "best.yaml"
            write_best(best, search, winner, result["metric"], plan)
            threads, store = max(int(plan.settings.cpus), 1), local_uri(search.settings)
            test = tested(records.folder, winner, threads, _data_path(search), _plugins(search), store)
            result |= {"winner": winner["number"], "best": best.relative_to(folder).as_posix()}
            result |= {"test_result": test["test_result"], "tested": test["how"]}
        results.append(result)
    content = {"title": plan.title, "how": plan.settings.model_dump(), "searches": results}
    overall, best_search = _overall(plan, results)
    if overall is not None and best_search is not None:
        winner = next(trial for trial in overall["trials"] if trial["number"] == overall["winner"])
        write_best(folder / "best.yaml", best_search, winner, overall["metric"], plan)
    write_text(folder / "report.html", sweep_page(content, {search.name: search.space for search in plan.searches}))
    write_results(folder, content)
    return located(content, folder)


def _with_a_winner(content: dict[str, Any]) -> dict[str, Any]:
    """The same; a sweep whose trials all failed is stored and reported, and is no success.

    Raises:
        WorkError: All trials failed.
    """
    if all(result["winner"] is None for result in content["searches"]):
        errors = [record["error"] for result in content["searches"] for record in result["trials"] if record["error"]]
        raise WorkError(f"no trial ended well, see {content['folder']}; the first says: {errors[0] if errors else '-'}")
    return content


def _overall(plan: SweepPlan, results: list[dict[str, Any]]) -> tuple[dict[str, Any] | None, Search | None]:
    """The search whose winner is the best by validation."""

    def score(result: dict[str, Any]) -> float:
        winner: Record = next(record for record in result["trials"] if record["number"] == result["winner"])
        return float(winner["best_score"]) * (1 if result["bigger"] else -1)

    won = [result for result in results if result["winner"] is not None]
    if not won:
        return None, None
    best = max(won, key=score)
    return best, next(search for search in plan.searches if search.name == best["name"])


def _data_path(search: Search) -> str:
    return str(Path(search.settings.get("data_path", DATA_PATH)).absolute())


def _plugins(search: Search) -> str | None:
    """The setting, for a process that stands in another folder."""
    paths = {sent["name"]: sent["path"] for sent in search.sources}
    names = [paths.get(name, name) for name in plugin_names(search.settings.get("plugins"))]
    return json.dumps(names) if names else None


def _absolute(plan: SweepPlan) -> SweepPlan:
    """Trials stand in folders of their own."""
    return replace(
        plan,
        searches=[
            replace(search, settings={**search.settings, "data_path": _data_path(search), **local_uri(search.settings)})
            for search in plan.searches
        ],
    )


@contextmanager
def _devices_kept() -> Iterator[None]:
    # A configuration sets which device this process sees; Ray would take it for all that the machine has.
    key = "CUDA_VISIBLE_DEVICES"
    before = os.environ.get(key)
    try:
        yield
    finally:
        if before is None:
            os.environ.pop(key, None)
        else:
            os.environ[key] = before
