"""What each user had, up to a part of the split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_logq.data.exact_time import HISTORY_END

HISTORIES = ("train", "valid", "all")
"""Up to which part: what the model was trained on, what a test of it knows of a user, everything."""


def user_histories(parts: Sequence[Any], up_to: str) -> tuple[np.ndarray, np.ndarray]:
    """Items of every user, in time order where the split knows one.

    Args:
        parts: Training, validation and test part.
        up_to: Of :data:`HISTORIES`; ``valid`` is what the evaluator takes for a user's history in the test.

    Returns:
        Offsets, int64 ``[n_users + 1]``, into item ids from 1 on; the first user has id 1.
    """
    first = parts[0]
    n_users = first.user_num
    if HISTORY_END in first.inter_feat:
        users, items = first.flat_users, first.flat_items
        end = torch.searchsorted(users, torch.arange(n_users), right=True)
        for part in parts[{"train": 1, "valid": 2, "all": 3}[up_to] :]:
            rows = part.inter_feat
            end.scatter_reduce_(0, rows[first.uid_field], rows[HISTORY_END], "amin")
        kept = torch.arange(len(users)) < end[users]
        users, items = users[kept], items[kept]
    else:
        known = parts[: {"train": 1, "valid": 2, "all": 3}[up_to]]
        users = torch.cat([part.inter_feat[first.uid_field] for part in known])
        items = torch.cat([part.inter_feat[first.iid_field] for part in known])
        order = users.argsort(stable=True)
        users, items = users[order], items[order]
    counts = torch.bincount(users, minlength=n_users)[1:]
    return _offsets(counts).numpy(), items.numpy()


def _offsets(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
