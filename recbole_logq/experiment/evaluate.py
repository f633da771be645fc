"""Evaluate a checkpoint again, under its own protocol or another one."""

from __future__ import annotations

from logging import getLogger
from typing import TYPE_CHECKING, Any

from recbole_logq import compat
from recbole_logq.errors import RequestError
from recbole_logq.experiment.run import close
from recbole_logq.layers import over
from recbole_logq.parsing import listed_files, nest, read_yaml
from recbole_logq.setting_checks import check_keys
from recbole_logq.training import checkpoint

if TYPE_CHECKING:
    from recbole_logq.experiment.restore import Stored

# What may differ from training without making another model of the same weights.
_CHANGEABLE = frozenset(
    {"eval_args", "metrics", "topk", "valid_metric", "metric_decimal_place", "repeatable", "filter_history"}
    | {"recbole_order", "data_path", "show_progress", "state", "gpu_id", "use_gpu", "worker", "checkpoint_dir"}
    | {"eval_batch_size", "plugins", "request_time"}
)


def evaluate(
    file: str,
    config_file_list: list[str] | None = None,
    config_dict: dict[str, Any] | None = None,
    allow_other_training: bool = False,
    model: type | None = None,
) -> dict[str, Any]:
    """Test a checkpoint without training.

    Args:
        file: A checkpoint of :func:`recbole_logq.run`.
        config_file_list: YAML files of settings, later ones win.
        config_dict: Settings that win over them; both are about what may differ from
            training's: ``topk``, ``metrics``, ``eval_args``, ...
        allow_other_training: Whether to test although the split's training part is not the one of the checkpoint, so
            that the model may have been trained on what it is tested on.
        model: The class, where the model was given as one.

    Returns:
        ``test_result``, ``model``, ``dataset``, ``seed``, ``fingerprint`` of the split, ``trained_on`` (the fingerprint
        of what the weights were trained on), ``protocol``, ``stored_test_result`` (None if training was interrupted
        before its test) and ``same_protocol``: whether the stored result was made under these settings.

    Raises:
        RequestError: The checkpoint cannot be used, or the new settings do not fit it.
    """
    compat.apply()
    from recbole.utils import init_seed, set_color

    from recbole_logq.data.dataset.protocol import protocol_of
    from recbole_logq.experiment.logs import start_log
    from recbole_logq.experiment.restore import open_checkpoint
    from recbole_logq.training.create import create_trainer

    changes: dict[str, Any] = {}
    for source in [*map(read_yaml, listed_files(config_file_list)), config_dict or {}]:
        changes = over(changes, nest(source))
    opened = open_checkpoint(file, changes.get("plugins"), model)
    state, stored = opened.state, opened.state["config"]
    config = configuration(opened, changes)
    start_log(config)
    logger = getLogger()
    restored = opened.restore(config, allow_other_training)
    fingerprint, loaders = restored.fingerprint, restored.loaders
    trained_on = state["fingerprint"].get("train")
    trainer = create_trainer(config, restored.network)
    trainer.eval_collector.data_collect(loaders[0])
    init_seed(config["seed"], config["reproducibility"])  # RecBole draws uniN negatives from the global generator
    result = checkpoint.plain(
        dict(trainer.evaluate(loaders[2], load_best_model=False, show_progress=config["show_progress"]))
    )
    close(trainer)
    logger.info(set_color("test result", "yellow") + f": {result}")
    protocol = ("eval_args", "metrics", "topk", "metric_decimal_place", "repeatable", "recbole_order", "filter_history")
    plain = config.plain()
    as_stored = all(plain.get(key) == stored.get(key) for key in protocol)
    as_stored = as_stored and plain["request_time"] == stored.get("request_time", "unknown")
    if as_stored and fingerprint != state["fingerprint"]:
        logger.warning(f"{file}: the data has changed since training, this is another test than the stored one")
    return {
        "test_result": result,
        "model": config["model"],
        "dataset": config["dataset"],
        "seed": config["seed"],
        "fingerprint": fingerprint,
        "trained_on": trained_on,
        "protocol": protocol_of(config, restored.parts),
        "stored_test_result": state.get("test_result"),
        "same_protocol": as_stored and fingerprint == state["fingerprint"],
    }


def configuration(opened: Stored, changes: dict[str, Any]) -> Any:
    """The configuration of a checkpoint, with changes that make no other model of its weights.

    Args:
        opened: The checkpoint.
        changes: Settings.

    Raises:
        RequestError: The changes do not fit the checkpoint.
    """
    from recbole_logq.data.dataset.temporal_split import is_temporal
    from recbole_logq.experiment.stored_settings import settings_of_checkpoint

    file = opened.file
    settings = settings_of_checkpoint(opened.state, file, opened.given_class)
    stored, changes = opened.state["config"], dict(changes)
    check_keys({key: None for key in changes if key not in stored}, set(_CHANGEABLE))
    for key, value in changes.items():
        if key not in _CHANGEABLE and value != stored[key]:
            raise RequestError(f"{key}={value!r}: {file} was trained with {stored[key]!r}, and evaluation keeps it")
    stored_time = stored.get("request_time", "unknown")
    reads = stored.get("time", "none") != "none" or stored.get("time_context")
    if reads and changes.get("request_time", stored_time) != stored_time:
        raise RequestError(
            f"request_time={changes['request_time']}: {file} reads times and was trained with {stored_time}; train "
            "another"
        )
    if "valid_metric" not in changes and changes.keys() & {"metrics", "topk"}:
        changes["valid_metric"] = _some_metric({**stored, **changes})  # evaluation has no use for it, Config asks
    if not isinstance(changes.get("eval_args", {}), dict):
        raise RequestError(f"eval_args={changes['eval_args']!r}: a mapping, such as --eval_args.split=...")
    both = isinstance(settings.get("eval_args"), dict) and "eval_args" in changes
    sections = {"eval_args": {**settings["eval_args"], **changes["eval_args"]}} if both else {}
    if sections and not is_temporal(sections["eval_args"]):
        for key in ("targets", "unseen"):  # they belong to the temporal split that is replaced
            if key not in changes["eval_args"]:
                sections["eval_args"].pop(key, None)
    return opened.configuration({**changes, **sections})


def _some_metric(values: dict[str, Any]) -> str:
    from recbole_logq.evaluation_settings import WHOLE_LIST_METRICS
    from recbole_logq.own_metrics import is_of_whole_lists

    metric = values["metrics"][0] if isinstance(values["metrics"], list) else str(values["metrics"])
    cutoff = values["topk"][0] if isinstance(values["topk"], list) else values["topk"]
    return metric if metric.lower() in WHOLE_LIST_METRICS or is_of_whole_lists(metric) else f"{metric}@{cutoff}"
