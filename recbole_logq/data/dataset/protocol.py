"""What a test result was measured on and how, in a form that can be compared between runs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from recbole.utils import ModelType

from recbole_logq.data.dataset.ready_made import READY_MADE
from recbole_logq.data.source.header import interaction_files
from recbole_logq.errors import RequestError


def filters_history(config: Any) -> bool:
    """``filter_history``; where it is not set RecBole's rule, which filters where ``repeatable`` is off."""
    chosen: bool | None = config["filter_history"]
    return not config["repeatable"] if chosen is None else chosen


def protocol_of(config: Any, parts: Sequence[Any]) -> dict[str, Any]:
    """How a run evaluates.

    Returns:
        ``split`` and ``order`` as set (``order`` is ``exact`` or RecBole's), or that the split was ready-made and its
        ``files``; ``ranking`` (full or a sample),
        ``filter_history``, ``averaged_over`` (users, or targets where a sequential model has several of a user),
        ``items``: how many are ranked, and ``request_time``: whether a query knows when it is asked, which is its
        target's time.
    """
    arguments = config["eval_args"]
    users = parts[-1].inter_feat[parts[-1].uid_field]
    several = len(users) > len(torch.unique(users))
    sequential = config["MODEL_TYPE"] == ModelType.SEQUENTIAL
    facts: dict[str, Any] = {"split": READY_MADE, "files": [file.name for file in interaction_files(config)]}
    if config["benchmark_filename"] is None:
        order = "random" if arguments.get("order") == "RO" else "RecBole's" if config["recbole_order"] else "exact"
        facts = {"split": arguments.get("split"), "order": order}
    facts |= {
        "ranking": arguments["mode"]["test"],
        "filter_history": filters_history(config),
        "averaged_over": "targets" if sequential and several else "users",
        "items": parts[-1].item_num - 1,
        "request_time": config["request_time"],
    }
    for key in ("targets", "unseen"):
        if key in arguments:
            facts[key] = arguments[key]
    return facts


def require_common(results: Sequence[dict[str, Any]]) -> None:
    """Refuse to set results side by side that were not measured the same way.

    Args:
        results: Results of :func:`recbole_logq.run`.

    Raises:
        RequestError: The protocols differ; the message names the first difference and the setting that removes it.
    """
    for result in results:
        if result.get("trained_on", result["fingerprint"]["train"]) != result["fingerprint"]["train"]:
            raise RequestError(
                f"{result['model']} (seed {result['seed']}) was tested under another split than it was trained with: "
                "it may have seen the answers"
            )
    first = results[0]
    same_seed: dict[Any, dict[str, Any]] = {}
    for second in results:
        pair = _pair(first, second)
        if first["dataset"] != second["dataset"]:
            raise RequestError(f"{pair} are of different datasets, {first['dataset']} and {second['dataset']}")
        for key in _REMEDY:
            expected, actual = (run["protocol"].get(key, _OF_OLDER.get(key)) for run in (first, second))
            if expected != actual:
                ready_made = READY_MADE in (first["protocol"].get("split"), second["protocol"].get("split"))
                remedy = (_OF_READY_MADE if ready_made else {}).get(key, _REMEDY[key])
                raise RequestError(f"{pair} are measured differently: {key} is {expected} and {actual}; {remedy}")
        # A random split depends on the seed: each seed has its own test set, which all models of that seed share.
        peer = same_seed.setdefault(second["seed"], second) if first["protocol"].get("order") == "random" else first
        expected, actual = peer["fingerprint"]["test"], second["fingerprint"]["test"]
        least = "[1,inf)" if first["protocol"].get("split") == READY_MADE else "[3,inf)"  # of training, or of all
        if expected != actual:
            raise RequestError(
                f"{_pair(peer, second)} have different test sets ({expected} and {actual}) under the same protocol: "
                "the data or its filters differ, or what takes rows out of the positives (grade_field, "
                "negatives.field), or users are too short for a sequential model (which has no target for a first "
                "interaction); run both on one copy with the same filters, such as "
                f'--user_inter_num_interval="{least}"'
            )


def _pair(first: dict[str, Any], second: dict[str, Any]) -> str:
    return f"{first['model']} (seed {first['seed']}) and {second['model']} (seed {second['seed']})"


_COMMON = (
    'run both with --eval_args.split="{LS: valid_and_test}" --eval_args.order=TO, or a temporal split with '
    "--eval_args.targets=last"
)
_OF_OLDER = {"request_time": "unknown"}
"""Values of records from before there was another one."""
# What two runs must have in common, the weightiest first, and what to set.
_REMEDY = {
    "split": _COMMON,
    "files": "test both on one ready-made split",
    "order": f"{_COMMON}, and the same --recbole_order",
    "targets": "give both the same --eval_args.targets",
    "unseen": "give both the same --eval_args.unseen",
    "request_time": "give both the same --request_time: a query that knows when it is asked knows more",
    "averaged_over": f"one has several targets a user: {_COMMON}",
    "items": "they ranked different numbers of items: load the same files and set the same filters",
    "ranking": "give both the same --eval_args.mode",
    "filter_history": "RecBole filters it for general models only: run both with --filter_history=true, or =false",
}
# Where one of the two has a ready-made split, which no setting changes.
_OF_READY_MADE = {
    "split": "run both with the same --benchmark_filename, or both without it",
    "averaged_over": (
        "a general model is averaged over users and a sequential one over the targets of a user, so compare models of "
        "one kind, or keep one row of each user in the file of the test part"
    ),
}
