"""Settings of checkpoints from before a setting meant what it means today."""

from __future__ import annotations

from typing import Any

# Beside a ready-made split they were accepted and changed nothing.
_IGNORED = ("rm_dup_inter", "val_interval", "user_inter_num_interval", "item_inter_num_interval", "recbole_order")


def earlier_given(state: dict[str, Any]) -> dict[str, Any]:
    """What a checkpoint's user has set, without what changed nothing then.

    Args:
        state: Content of a checkpoint; ``config`` has all settings, ``given`` those of the user.
    """
    stored, settings = state["config"], dict(state["given"])
    if stored.get("filter_inter_by_user_or_item"):  # the default was RecBole's
        settings["filter_inter_by_user_or_item"] = True
    if stored.get("threshold") and "negatives" in stored:  # the own models read no labels
        settings.pop("threshold", None)
    if stored.get("benchmark_filename") and "split" in (stored.get("eval_args") or {}):
        settings = {key: value for key, value in settings.items() if key not in _IGNORED}
        arguments = settings.pop("eval_args", None) or {}
        if "mode" in arguments:
            settings["eval_args"] = {"mode": arguments["mode"]}
    return settings
