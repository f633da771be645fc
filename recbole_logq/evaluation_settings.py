"""Which protocols of evaluation make sense."""

from __future__ import annotations

import math
import re
from typing import Any

from recbole.utils import ModelType

from recbole_logq.data.dataset.temporal_split import check_temporal, is_temporal
from recbole_logq.errors import RequestError
from recbole_logq.own_metrics import is_of_whole_lists

# Metrics that RecBole reports without a cut-off.
WHOLE_LIST_METRICS = {"gauc", "auc", "rmse", "mae", "logloss"}
EVAL_ARGS = ("split", "order", "group_by", "mode")
OF_TEMPORAL = ("targets", "unseen")
"""More of ``eval_args``, with a temporal split."""


def check_evaluation(values: dict[str, Any]) -> None:
    """Check ``eval_args``, ``metrics``, ``topk``, ``valid_metric`` and ``filter_history`` against each other.

    Args:
        values: The final settings, with RecBole's ``MODEL_TYPE``.

    Raises:
        RequestError: The settings do not fit each other; one line says what to write instead.
    """
    arguments, sequential = values["eval_args"], values["MODEL_TYPE"] == ModelType.SEQUENTIAL
    temporal = is_temporal(arguments)
    known = (*EVAL_ARGS, *(OF_TEMPORAL if temporal else ()))
    if unknown := set(arguments) - set(known):
        raise RequestError(f"unknown setting eval_args.{min(unknown)} (eval_args has {', '.join(known)})")
    ready_made = values.get("benchmark_filename") is not None
    order = arguments.get("order", "RO")
    if order not in ("RO", "TO"):
        raise RequestError(f"eval_args.order={order!r}: RO (random) or TO (by time)")
    if sequential and order != "TO" and not ready_made:
        raise RequestError("eval_args.order=RO: a sequential model is evaluated in time order, set order: TO")
    if arguments.get("group_by", "user") not in ("user", "none", "None", None):
        raise RequestError(f"eval_args.group_by={arguments['group_by']!r}: user or none")
    for mode in _modes(arguments):
        if mode not in ("full", "labeled") and not re.fullmatch(r"(uni|pop)[1-9]\d*", str(mode)):
            raise RequestError(
                f"eval_args.mode={mode!r}: full, labeled, or a number of drawn items, such as uni100 or pop100"
            )
    if values.get("request_time") == "known" and order != "TO" and not ready_made:
        raise RequestError("request_time=known: a target has a time in a split by time alone, set eval_args.order=TO")
    if temporal:
        _check_temporal(values)
    elif "split" in arguments and not ready_made:
        _check_split(arguments["split"], order)
    _check_metrics(values)


def _modes(arguments: dict[str, Any]) -> list[Any]:
    """Modes of validation and of the test, or one for both."""
    modes = arguments.get("mode", "full")
    return list(modes.values()) if isinstance(modes, dict) else [modes]


def _check_split(split: Any, order: str) -> None:
    kind, division = next(iter(split.items())) if isinstance(split, dict) and len(split) == 1 else (None, None)
    if kind == "LS" and division in ("valid_and_test", "test_only"):
        return
    parts = division if isinstance(division, list) else []
    parts = parts if all(isinstance(part, int | float) and math.isfinite(part) for part in parts) else []
    if kind in {"RS", "TS"} and len(parts) == 3 and parts[0] > 0 and parts[1] >= 0 and parts[2] > 0:
        if kind == "TS" and order != "TO":
            raise RequestError("eval_args.split=TS needs eval_args.order=TO")
        return
    raise RequestError(
        f"eval_args.split={split!r}: give RS: [0.8, 0.1, 0.1] (training and test above 0), LS: valid_and_test, "
        "LS: test_only, or GTS: [0.8, 0.1, 0.1] (by time, over all users)"
    )


def _check_temporal(values: dict[str, Any]) -> None:
    check_temporal(values["eval_args"])
    if values["eval_args"].get("order") != "TO":
        raise RequestError("eval_args.split.GTS needs eval_args.order=TO")
    if values.get("rm_dup_inter") == "last":
        raise RequestError(
            "rm_dup_inter=last with eval_args.split.GTS: an interaction after the cut would take one before it out of "
            "training; set rm_dup_inter=first"
        )
    if values["TIME_FIELD"] in (values.get("numerical_features") or []):
        raise RequestError(
            f"numerical_features: {values['TIME_FIELD']} is what eval_args.split.GTS splits by, leave it out"
        )
    if values["recbole_order"]:
        raise RequestError("recbole_order=true: RecBole has no GTS split to be equal to; leave one of them out")
    if values["MODEL_TYPE"] not in {ModelType.GENERAL, ModelType.TRADITIONAL, ModelType.SEQUENTIAL}:
        raise RequestError(f"eval_args.split.GTS: general and sequential models only, not {values['model']}")


def _check_metrics(values: dict[str, Any]) -> None:
    metrics = values["metrics"] if isinstance(values["metrics"], list) else [values["metrics"]]
    cutoffs = values["topk"] if isinstance(values["topk"], list) else [values["topk"]]
    chosen = values["valid_metric"]
    metric, at, cutoff = chosen.partition("@")
    if metric.lower() not in {name.lower() for name in metrics}:
        raise RequestError(f"valid_metric={chosen}: {metric} is not among metrics={metrics}")
    whole_list = metric.lower() in WHOLE_LIST_METRICS or is_of_whole_lists(metric)
    if whole_list and at:
        raise RequestError(f"valid_metric={chosen}: {metric} has no cut-off, write valid_metric={metric}")
    if not whole_list and cutoff not in {str(k) for k in cutoffs}:
        raise RequestError(
            f"valid_metric={chosen}: {cutoff or 'no cut-off'} is not among topk={cutoffs}, write "
            f"valid_metric={metric}@{cutoffs[0]}"
        )
    _check_tail(values.get("tail_ratio"))
    modes = values["eval_args"].get("mode")
    ranks = any(name.lower() not in WHOLE_LIST_METRICS and not is_of_whole_lists(name) for name in metrics)
    for mode in _modes(values["eval_args"]) if ranks else []:
        drawn = re.fullmatch(r"(?:uni|pop)(\d+)", str(mode))
        if drawn and max(cutoffs) > int(drawn[1]):
            raise RequestError(
                f"topk={cutoffs}: eval_args.mode={mode} ranks a target among {drawn[1]} drawn items, where all are in "
                "the top; lower it, or draw more"
            )
    if "labeled" in _modes(values["eval_args"]) and not whole_list:
        raise RequestError(f"eval_args.mode=labeled: {metric} ranks items, use metrics such as AUC and LogLoss")
    if values["filter_history"] is not None and modes not in ("full", {"valid": "full", "test": "full"}):
        raise RequestError(
            f"filter_history={values['filter_history']}: it is about full ranking and eval_args.mode={modes} ranks a "
            "sample; leave it out or set mode: full"
        )


def _check_tail(ratio: Any) -> None:
    whole = isinstance(ratio, int) and not isinstance(ratio, bool) and ratio >= 1
    if ratio is not None and not whole and not (isinstance(ratio, float) and 0 < ratio <= 1):
        raise RequestError(
            f"tail_ratio={ratio!r}: the long tail is a share of the items, above 0 and up to 1.0, or the items with at "
            "most a whole number of training interactions"
        )
