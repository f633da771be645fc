"""One search: which trials are missing, and who runs them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.ray_cluster import reason_of
from recbole_logq.files import folder_name
from recbole_logq.plugins import plugin_modules
from recbole_logq.sweeps.parameter import Point
from recbole_logq.sweeps.progress import Progress
from recbole_logq.sweeps.search import random_points, text_of
from recbole_logq.sweeps.space import grid
from recbole_logq.sweeps.sweep_plan import Search, SweepSettings
from recbole_logq.sweeps.trial import Job
from recbole_logq.sweeps.trial_records import Records
from recbole_logq.sweeps.watch import Watch

# On the head alone: a worker that is lost takes its trials along, and must not take the search.
_ON_THE_HEAD = {"num_cpus": 0, "resources": {"node:__internal_head__": 0.001}}


def run_search(ray: Any, search: Search, settings: SweepSettings, records: Records, config: Any, prepared: Any) -> None:
    """Run the trials that are missing.

    Args:
        ray: The module, connected.
        search: Search to run.
        settings: Settings of the search.
        records: Records of this search; trials that are over are not run again, those that were cut off go on.
        config: Configuration of any trial, for what all share.
        prepared: The dataset, which trials take from Ray's object store; None if each prepares its own.

    Raises:
        RequestError: The cluster cannot give a trial what it needs.
        WorkError: The cluster was lost, or does not have this package.
    """
    from recbole_logq.sweeps.tuning import Task

    _check_resources(ray, settings)
    ended, cut_off = records.ended(), records.interrupted()
    resumable = {text_of(trial["point"]): str(records.path(trial["folder"])) for trial in cut_off if trial["folder"]}
    for record in cut_off:
        records.forget(record)
    total, missing, points = _trials(search, settings, records, [trial["point"] for trial in cut_off])
    spent = sum(trial["train_cpu_seconds"] or 0.0 for trial in ended)
    if missing < 1 or (settings.max_cpu_seconds is not None and spent >= settings.max_cpu_seconds):
        return
    records.trials.mkdir(parents=True, exist_ok=True)
    job = Job(search, str(records.trials), max(int(settings.cpus), 1), settings.gpus, resumable)
    concurrent = settings.concurrent or (_concurrent(ray, settings) if settings.search == "optuna" else None)
    mode = "max" if records.bigger else "min"
    task = Task(job, settings, points, missing, concurrent, ended, mode, int(config["epochs"]))
    with Progress(search.name, total, config["valid_metric"], records.bigger, ended) as progress:
        watch = Watch(records, progress, max((trial["number"] for trial in ended), default=0) + 1)
        _run(ray, task, prepared, watch)


def _run(ray: Any, task: Any, prepared: Any, watch: Watch) -> None:
    """Tune works in this process, or in one of the cluster where this one is a Ray client of it."""
    from recbole_logq.sweeps.tuning import tune_trials

    def tell(event: tuple[Any, ...]) -> None:
        name, *arguments = event
        getattr(watch, name)(*arguments)

    for module in plugin_modules():  # a worker unpickles before it has run the plug-ins
        ray.cloudpickle.register_pickle_by_value(module)
    data = [None if prepared is None else ray.put(prepared)]
    if not ray.util.client.ray.is_connected():
        tune_trials(task, data, tell)
        return
    from ray.util.queue import Empty, Queue

    queue = Queue(actor_options=_ON_THE_HEAD)
    try:
        work = ray.remote(max_retries=0, **_ON_THE_HEAD)(_elsewhere).remote(task, data, queue)
        while True:
            over = bool(ray.wait([work], timeout=0)[0])
            try:
                events = [queue.get(timeout=1.0)]
            except Empty:
                if over:
                    break
                continue
            for event in events + queue.get_nowait_batch(queue.size()):
                tell(event)
        ray.get(work)
    except (ray.exceptions.RayError, ConnectionError) as error:
        raise WorkError(f"the search ended on the cluster: {reason_of(error)}; --resume goes on") from error


def _elsewhere(task: Any, prepared: list[Any], queue: Any) -> None:
    from recbole_logq.sweeps.tuning import tune_trials

    tune_trials(task, prepared, queue.put)


def _trials(
    search: Search, settings: SweepSettings, records: Records, cut_off: list[Point]
) -> tuple[int, int, list[Point]]:
    """How many trials there are in all, how many of them are missing, and which points are known beforehand."""
    ended = records.ended()
    if settings.search == "optuna":
        return settings.trials, settings.trials - len(ended), cut_off
    if settings.search == "grid":
        points = grid(search.space)
    else:
        points = random_points(search.space, settings.trials, settings.search_seed)
    over = {text_of(record["point"]) for record in ended}
    missing = [point for point in points if text_of(point) not in over]
    return len(points), len(missing), missing


def _concurrent(ray: Any, settings: SweepSettings) -> int:
    """Number of trials at a time, as many as fit: an adaptive search that starts all points at once learns nothing."""
    resources = ray.cluster_resources()
    fits = resources.get("CPU", 1.0) / settings.cpus
    if settings.gpus:
        fits = min(fits, resources.get("GPU", 0.0) / settings.gpus)
    return max(int(fits), 1)


def _check_resources(ray: Any, settings: SweepSettings) -> None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= settings.cpus and node.get("GPU", 0) >= settings.gpus for node in nodes):
        most = {key: max((node.get(key, 0) for node in nodes), default=0) for key in ("CPU", "GPU")}
        raise RequestError(
            f"a trial needs cpus={settings.cpus:g} and gpus={settings.gpus:g}, and no machine has that: the largest "
            f"have {most['CPU']:g} CPUs and {most['GPU']:g} GPUs"
        )


def folder_of(folder: Path, search: Search) -> Path:
    """Folder of one search within that of the sweep."""
    return folder / folder_name(search.name)
