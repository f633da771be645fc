"""How often each item occurs in training: one count for all models that are trained on the same split.

A sequential model has no target for a user's first interaction, so that its training rows are fewer than a general
model's. Sampling probabilities are about its rows; how popular an item is, is about the data, and counted here.
"""

from __future__ import annotations

from typing import Any

import torch
from recbole.data.interaction import Interaction
from recbole.utils import ModelType
from torch import Tensor


def depends_on_times(arguments: dict[str, Any]) -> bool:
    """Whether a split in time order looks at the times themselves, not only at places in each user's sequence.

    Args:
        arguments: ``eval_args``, as RecBole has them.
    """
    kind = next(iter(arguments["split"]))
    return kind in ("TS", "GTS") or (kind == "RS" and str(arguments.get("group_by")).lower() == "none")


def item_counts(training: Any) -> Tensor:
    """Interactions of each item in the training part of the split, as a general model has it; int64 ``[n_items]``.

    Args:
        training: Training part of a dataset. Where the rows of a sequential model were made of whole sequences, these
            are split again, as those of a general model.
    """
    return torch.bincount(_training_items(training), minlength=training.item_num)


def _training_items(training: Any) -> Tensor:
    config, items = training.config, training.iid_field
    if config["MODEL_TYPE"] != ModelType.SEQUENTIAL:
        return training.inter_feat[items]
    if training.is_ready_made:
        parts = training.flat_parts  # none where the files hold prefixes
        return training.inter_feat[items] if parts is None else training.flat_items[parts == 0]
    times = training.flat_times if depends_on_times(config["eval_args"]) else None
    kind, split = next(iter(config["eval_args"]["split"].items()))
    if kind == "GTS":
        return training.flat_items[times < training.temporal_split.valid_from]
    whole = training.copy(Interaction({training.uid_field: training.flat_users, items: training.flat_items}))
    whole._drop_unused_col = lambda: None  # it has none
    if times is not None:
        whole.inter_feat.update(Interaction({training.time_field: times}))
        whole.sort(by=training.time_field)
    if kind == "LS":
        parts = whole.leave_one_out(group_by=training.uid_field, leave_one_mode=split)
    elif kind == "TS":
        parts = whole.time_based_split(ratios=split, group_by=training.uid_field)
    else:
        parts = whole.split_by_ratio(split, group_by=None if times is not None else training.uid_field)
    return parts[0].inter_feat[items]
