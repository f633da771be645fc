"""Settings that would change nothing: refused where they are given, with the reason.

A default passes, given or not: a file that states what holds anyway asks for nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from recbole.evaluator import smaller_metrics
from recbole.utils import ModelType

from recbole_logq.errors import RequestError
from recbole_logq.evaluation_settings import WHOLE_LIST_METRICS

WORKED_OUT = {
    "MODEL_TYPE": "model",
    "MODEL_INPUT_TYPE": "model",
    "eval_type": "metrics",
    "valid_neg_sample_args": "eval_args.mode",
    "test_neg_sample_args": "eval_args.mode",
    "local_rank": "nproc",
    "world_size": "nproc",
    "single_spec": "nproc",
    "device": "use_gpu and gpu_id",
}
"""What RecBole works out and reads under the same names, and what it is worked out from."""
MISWRITTEN = {
    "config_file": "--config_files=FILE on the command line, or config_file_list",
    "config_files": "it on the command line, or config_file_list",
}


class Rule(NamedTuple):
    """A setting without effect.

    Attributes:
        key: Its name.
        idle: Function that tells from the final settings whether it changes nothing.
        reason: Reason, and what to do.
    """

    key: str
    idle: Callable[[dict[str, Any]], bool]
    reason: str


def _always(values: dict[str, Any]) -> bool:
    return True


def _general(values: dict[str, Any]) -> bool:
    return bool(values["MODEL_TYPE"] != ModelType.SEQUENTIAL)


def _no_validation(values: dict[str, Any]) -> bool:
    split = values["eval_args"].get("split") if values.get("benchmark_filename") is None else None
    parts = next(iter(split.values())) if isinstance(split, dict) and len(split) == 1 else None
    return values["eval_step"] == 0 or parts == "test_only" or (isinstance(parts, list) and parts[1:2] == [0])


def _metrics(values: dict[str, Any]) -> set[str]:
    metrics = values["metrics"]
    return {name.lower() for name in (metrics if isinstance(metrics, list) else [metrics])}


def _features_alone(values: dict[str, Any]) -> bool:
    loaded = values.get("load_col")
    return isinstance(loaded, dict) and not {"user", "item"} & loaded.keys()


GENERAL = [
    Rule(
        "enable_scaler",
        lambda values: not (values["use_gpu"] and torch.cuda.is_available()),
        "it scales the gradients of a GPU, and none is used; leave it out",
    ),
    Rule(
        "wandb_project",
        lambda values: not values["log_wandb"],
        "nothing is sent to W&B; set log_wandb=true, or leave it out",
    ),
    *(
        Rule(
            key,
            lambda values: not values["log_mlflow"],
            "nothing is sent to MLflow; set log_mlflow=true, or leave it out",
        )
        for key in ("mlflow_uri", "mlflow_experiment")
    ),
    Rule(
        "run_name",
        lambda values: not (values["log_wandb"] or values["log_mlflow"]),
        "it is for W&B and MLflow; set log_wandb=true or log_mlflow=true, or leave it out",
    ),
    Rule(
        "country_iso_code",
        lambda values: not values["log_energy"],
        "no energy is measured; set log_energy=true, or leave it out",
    ),
    Rule("stopping_step", _no_validation, "it counts validations, and there is none; leave it out or set eval_step"),
    Rule(
        "shuffle",
        lambda values: values["MODEL_TYPE"] == ModelType.KNOWLEDGE,
        "RecBole shuffles for knowledge graphs whatever it says; leave it out",
    ),
]
"""Rules about every model's settings, RecBole's included."""


def _no_layer(values: dict[str, Any]) -> bool:
    features = ("user_features", "item_features", "context_features", "user_text", "item_text")
    return values.get("mlp_sizes") == [] and values["history_pooling"] == "mean" and not any(map(values.get, features))


_GRAPH = "it is about a knowledge graph, which this model does not read; leave it out"
OWN = [
    *(
        Rule(key, _always, _GRAPH)
        for key in (
            *("ENTITY_ID_FIELD", "HEAD_ENTITY_ID_FIELD", "TAIL_ENTITY_ID_FIELD", "RELATION_ID_FIELD"),
            *("alias_of_entity_id", "alias_of_relation_id", "entity_kg_num_interval", "relation_kg_num_interval"),
            "kg_reverse_r",
        )
    ),
    Rule(
        "enable_amp",
        _no_layer,
        "scores and losses stay float32, and there is no layer to compute in bfloat16; set mlp_sizes, or leave it out",
    ),
    Rule("NEG_PREFIX", _always, "it names negatives of RecBole's loaders; these models have pools, leave it out"),
    Rule("POSITION_FIELD", _always, "no column is made of positions; leave it out"),
    Rule("require_pow", _always, "it is about a penalty of RecBole's models; set weight_decay"),
    Rule("preload_weight", _always, "vectors from files are not read; name their column in item_features"),
    Rule("additional_feat_suffix", _always, "only the .inter, .user and .item files are read; leave it out"),
    Rule("discretization", _always, "features are read as they are; leave it out"),
    Rule(
        "numerical_features",
        lambda values: not {values["TIME_FIELD"], values["weight_field"]} & set(values["numerical_features"] or []),
        "they are of RecBole's context models; set item_features or user_features",
    ),
    *(
        Rule(key, _general, "this model makes no column of sequences; leave it out")
        for key in ("ITEM_LIST_LENGTH_FIELD", "LIST_SUFFIX")
    ),
    Rule("RATING_FIELD", lambda values: not values["context_features"], "nothing reads a rating; leave it out"),
    Rule(
        "LABEL_FIELD",
        lambda values: not (values["threshold"] or values["context_features"] or _metrics(values) & WHOLE_LIST_METRICS),
        "nothing makes or reads labels; leave it out",
    ),
    Rule(
        "filter_inter_by_user_or_item",
        _features_alone,
        "it is about ids without a line in the .user or .item file, and neither is loaded; leave it out",
    ),
    Rule("tail_ratio", lambda values: "tailpercentage" not in _metrics(values), "set it with metrics=[TailPercentage]"),
    Rule(
        "topk",
        lambda values: _metrics(values) <= WHOLE_LIST_METRICS,
        "the metrics are of whole lists and have no cut-off; leave it out",
    ),
    Rule(
        "repeatable",
        lambda values: values["filter_history"] is not None,
        "filter_history says what is filtered; leave one of them out",
    ),
]
"""Further rules, about the settings of this package's models."""


def check_worked_out(settings: dict[str, Any], values: dict[str, Any]) -> None:
    """Refuse what is never read as it is given.

    Args:
        settings: Settings of the user.
        values: The final settings.

    Raises:
        RequestError: A setting has no effect; the message names what to set instead.
    """
    for key in settings:
        if key in WORKED_OUT:
            raise RequestError(f"{key} is worked out: set {WORKED_OUT[key]}")
        if key in MISWRITTEN:
            raise RequestError(f"{key} is no setting: give {MISWRITTEN[key]}")
    bigger = values["valid_metric"].partition("@")[0].lower() not in smaller_metrics
    if settings.get("valid_metric_bigger", bigger) != bigger:
        raise RequestError(
            f"valid_metric_bigger={settings['valid_metric_bigger']}: RecBole knows of {values['valid_metric']} that a "
            f"{'larger' if bigger else 'smaller'} value is better; leave it out"
        )


def check_effects(settings: dict[str, Any], values: dict[str, Any], defaults: dict[str, Any], own: bool) -> None:
    """Refuse what would change nothing beside the other settings.

    Args:
        settings: Settings of the user.
        values: The final settings.
        defaults: Settings that hold where the user sets nothing.
        own: Whether the model is one of this package.

    Raises:
        RequestError: A setting has no effect; the message names it and the reason.
    """
    for rule in (*GENERAL, *(OWN if own else ())):
        value, default = settings.get(rule.key), defaults.get(rule.key)
        if rule.key in settings and value != default and (value or default) and rule.idle(values):
            raise RequestError(f"{rule.key}={value!r}: {rule.reason}")
    arguments = settings.get("eval_args") or {}
    if own and arguments.get("group_by", "user") != "user" and "GTS" in (values["eval_args"].get("split") or {}):
        raise RequestError("eval_args.group_by: a split by time is one over all users; leave it out")
