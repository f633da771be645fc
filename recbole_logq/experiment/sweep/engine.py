"""One search on Ray Tune."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.experiment.files import folder_name
from recbole_logq.experiment.sweep.plan import Search, SweepSettings
from recbole_logq.experiment.sweep.progress import Progress
from recbole_logq.experiment.sweep.records import Records
from recbole_logq.experiment.sweep.search import optuna_search, random_points, scheduler, text_of
from recbole_logq.experiment.sweep.space import grid
from recbole_logq.experiment.sweep.trial import Job, run_trial

# Tune reads these: what happens to Ctrl-C and to trials that report no score, and which files it writes.
_TUNE = {
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_WARN_EXCESSIVE_EXPERIMENT_CHECKPOINT_SYNC_THRESHOLD_S": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
}
LOST = 3
"""How often a trial is started again after its process or machine was lost."""


def run_search(ray: Any, search: Search, how: SweepSettings, records: Records, config: Any, prepared: Any) -> None:
    """Run the trials that are missing.

    Args:
        ray: The module, connected.
        search: What to vary.
        how: To search.
        records: Of this search; trials that are over are not run again, those that were cut off go on.
        config: Of some trial, for what all share.
        prepared: The dataset, which trials take from Ray's object store; None if each prepares its own.

    Raises:
        RequestError: The cluster cannot give a trial what it needs.
    """
    for key, value in _TUNE.items():
        os.environ.setdefault(key, value)
    from ray import tune

    from recbole_logq.experiment.sweep.watch import Budget, Watch

    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # records say what failed
    _check_resources(ray, how)
    ended, cut_off = records.ended(), records.interrupted()
    mode = "max" if records.bigger else "min"
    epochs = int(config["epochs"])
    resumable = {text_of(one["point"]): one["folder"] for one in cut_off if one["folder"]}
    for record in cut_off:
        records.forget(record)
    spent = sum(one["train_cpu_seconds"] or 0.0 for one in ended)
    total, missing, options = _trials(search, how, records, mode, cut_off)
    if missing < 1 or (how.max_cpu_seconds is not None and spent >= how.max_cpu_seconds):
        return
    records.trials.mkdir(parents=True, exist_ok=True)
    job = Job(search, str(records.trials), max(int(how.cpus), 1), how.gpus, resumable)
    trainable = tune.with_resources(
        tune.with_parameters(run_trial, job=job, prepared=prepared), {"cpu": how.cpus, "gpu": how.gpus}
    )
    # Nothing is read back from what Tune stores: records are plain JSON, and Tune's own state is pickles.
    storage = tempfile.mkdtemp(prefix="recbole-logq-tune-")
    with Progress(search.name, total, config["valid_metric"], records.bigger, ended) as progress:
        watch = Watch(records, progress, max((one["number"] for one in ended), default=0) + 1)
        try:
            tune.Tuner(
                trainable,
                param_space=options.pop("param_space", None),
                tune_config=tune.TuneConfig(
                    num_samples=missing if "search_alg" in options else 1,
                    scheduler=scheduler(how.scheduler, mode, epochs, ended),
                    reuse_actors=True,  # importing torch and RecBole takes longer than a short trial
                    **options,
                ),
                run_config=tune.RunConfig(
                    name="sweep",
                    storage_path=storage,
                    callbacks=[watch],
                    stop=None if how.max_cpu_seconds is None else Budget(how.max_cpu_seconds, spent),
                    failure_config=tune.FailureConfig(max_failures=LOST),
                    verbose=0,
                ),
            ).fit()
        finally:
            shutil.rmtree(storage, ignore_errors=True)


def _trials(
    search: Search, how: SweepSettings, records: Records, mode: str, cut_off: list[dict[str, Any]]
) -> tuple[int, int, dict[str, Any]]:
    """How many trials there are in all, how many of them are missing, and where Tune takes them from."""
    from ray import tune

    ended = records.ended()
    if how.search == "optuna":
        first = [one["point"] for one in cut_off]
        found = optuna_search(search.space, mode, how.search_seed, records.folder / "optuna.log", first)
        return (
            how.trials,
            how.trials - len(ended),
            {"search_alg": found, "max_concurrent_trials": how.concurrent or _concurrent(how)},
        )
    points = grid(search.space) if how.search == "grid" else random_points(search.space, how.trials, how.search_seed)
    over = {text_of(one["point"]) for one in ended}
    texts = [text for text in map(text_of, points) if text not in over]
    param_space = {"point": tune.grid_search(texts)}
    return len(points), len(texts), {"param_space": param_space, "max_concurrent_trials": how.concurrent}


def _concurrent(how: SweepSettings) -> int:
    """As many as fit: an adaptive search that asks for all points at once learns nothing."""
    import ray

    found = ray.cluster_resources()
    fits = found.get("CPU", 1.0) / how.cpus
    if how.gpus:
        fits = min(fits, found.get("GPU", 0.0) / how.gpus)
    return max(int(fits), 1)


def _check_resources(ray: Any, how: SweepSettings) -> None:
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(node.get("CPU", 0) >= how.cpus and node.get("GPU", 0) >= how.gpus for node in nodes):
        most = {key: max((node.get(key, 0) for node in nodes), default=0) for key in ("CPU", "GPU")}
        raise RequestError(
            f"a trial needs cpus={how.cpus:g} and gpus={how.gpus:g}, and no machine has that: the largest have "
            f"{most['CPU']:g} CPUs and {most['GPU']:g} GPUs"
        )


def folder_of(folder: Path, search: Search) -> Path:
    """Of one search within that of the sweep."""
    return folder / folder_name(search.name)
