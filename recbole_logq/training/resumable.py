"""Whether a run may go on from a checkpoint: one of the same settings, data and split, its best model beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.training import checkpoint

# What may differ when a run is resumed: how it is watched and how long it goes on, not what is trained.
CHANGEABLE = frozenset(
    {"epochs", "stopping_step", "max_train_cpu_seconds", "show_progress", "state", "device", "gpu_id", "use_gpu"}
    | {
        "data_path",
        "checkpoint_dir",
        "log_wandb",
        "wandb_project",
        "log_mlflow",
        "mlflow_uri",
        "mlflow_experiment",
        "run_name",
        "log_energy",
        "country_iso_code",
        "eval_batch_size",
        "loss_decimal_place",
        "filter_inter_by_user_or_item",  # whether it has changed anything, the fingerprints of data and split say
        "diagnostics",
        "plugins",
    }
)


def best_model_of(
    state: dict[str, Any], file: str, config: Any, fingerprint: dict[str, str], id_fingerprint: str
) -> Path:
    """The best model so far of the run that a checkpoint belongs to, which is the run of this configuration.

    Args:
        state: Content of the checkpoint.
        file: Its place.
        config: Configuration of the run that is to go on from it.
        fingerprint: Fingerprints of that run's split.
        id_fingerprint: Fingerprint of its ids.

    Raises:
        RequestError: The checkpoint belongs to something else, or its best model is gone.
    """
    for key, value in config.plain().items():
        if key not in CHANGEABLE and value != state["config"].get(key):
            raise RequestError(f"{key}={value!r}: {file} was trained with {state['config'].get(key)!r}")
    if (state["fingerprint"], state["id_fingerprint"]) != (fingerprint, id_fingerprint):
        raise RequestError(f"{file} was trained on another split of {config['dataset']}")
    best = Path(file).parent / state["best_file"]
    if best.name != state["best_file"]:  # it will be written over: never a file elsewhere
        raise checkpoint.damaged(file, "best_file is not a file beside it")
    if not best.is_file():
        raise RequestError(f"{file} needs {best}, the best model so far, beside it")
    beside = checkpoint.load(best)  # it will be written over, and tested after training
    if not _same_run(beside, state):
        raise RequestError(f"{best}, which {file} names as its best model, is of another run")
    return best


def _same_run(best: dict[str, Any], last: dict[str, Any]) -> bool:
    first, second = best["config"], last["config"]
    keys = (first.keys() | second.keys()) - CHANGEABLE  # a setting that came between the two has its default, None
    return best["fingerprint"] == last["fingerprint"] and all(first.get(key) == second.get(key) for key in keys)
