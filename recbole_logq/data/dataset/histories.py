"""What a user had before a moment, for models that compute the user from it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_logq.errors import RequestError

# The column of a batch that holds histories; a name no atomic file uses.
HISTORY = "__history"


def last_items(items: Tensor, start: Tensor, end: Tensor, length: int) -> Tensor:
    """The last items of sequences that lie one after the other.

    Args:
        items: All sequences, integers ``[interactions]``.
        start: Place in them where each row's sequence starts; int64 ``[rows]``.
        end: Place before which it ends; int64 ``[rows]``.
        length: Number of items at most.

    Returns:
        ``[rows, length]`` in order, right-padded with 0.
    """
    position = torch.maximum(start, end - length)[..., None] + torch.arange(length, device=items.device)
    return items[position.clamp_max(len(items) - 1)] * (position < end[..., None])


def max_history(config: Any) -> int:
    """Items of a history that the model sees; 0 for a model that reads no ``HISTORY``."""
    if config["user_tower"] != "history":
        return 0
    return int(config["max_history"] or config["MAX_ITEM_LIST_LENGTH"])


def check_histories(values: dict[str, Any]) -> None:
    """Refuse a history where nothing says what came before what.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    if values["user_tower"] != "history":
        if values["history_pooling"] != "mean":
            raise RequestError(
                f"history_pooling={values['history_pooling']}: set user_tower=history too, or leave it out"
            )
        if values["max_history"] is not None:
            raise RequestError(f"max_history={values['max_history']}: set user_tower=history too, or leave it out")
        return
    if values.get("benchmark_filename") is None and values["eval_args"].get("order") != "TO":
        raise RequestError(
            "user_tower=history needs to know what came before a target, and a random split does not: set "
            '--eval_args="{split: {LS: valid_and_test}, order: TO}", or a temporal split'
        )
    modes = values["eval_args"].get("mode")
    if modes not in ("full", {"valid": "full", "test": "full"}):
        raise RequestError(f"eval_args.mode={modes}: user_tower=history has histories in full ranking only, set full")
