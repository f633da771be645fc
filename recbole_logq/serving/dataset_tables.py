"""What each user had, up to a part of the split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from recbole_logq.data.dataset.event_times import reads_times
from recbole_logq.data.dataset.exact_time import HISTORY_END
from recbole_logq.serving.folder import HISTORIES


def user_histories(parts: Sequence[Any], up_to: str) -> tuple[np.ndarray, np.ndarray, Tensor | None]:
    """Items of every user, in time order where the split knows one.

    Args:
        parts: Training, validation and test part.
        up_to: Part up to which items count, one of :data:`~recbole_logq.serving.folder.HISTORIES`; ``valid`` is what
            the evaluator takes for a user's history in the test.

    Returns:
        Offsets, int64 ``[n_users + 1]``, into item ids from 1 on, where the first user has id 1; the item ids; and when
        each of them was had, float64, for a model that reads times.
    """
    first = parts[0]
    n_users, n_parts = first.user_num, HISTORIES[up_to]
    times = None
    if HISTORY_END in first.inter_feat:
        users, items = first.flat_users, first.flat_items
        end = torch.searchsorted(users, torch.arange(n_users), right=True)
        for part in parts[n_parts:]:
            rows = part.inter_feat
            end.scatter_reduce_(0, rows[first.uid_field], rows[HISTORY_END], "amin")
        kept = torch.arange(len(users)) < end[users]
        users, items = users[kept], items[kept]
        times = first.flat_times[kept] if reads_times(first.config) else None
    else:
        known = parts[:n_parts]
        users = torch.cat([part.inter_feat[first.uid_field] for part in known])
        items = torch.cat([part.inter_feat[first.iid_field] for part in known])
        order = users.argsort(stable=True)
        users, items = users[order], items[order]
    counts = torch.bincount(users, minlength=n_users)[1:]
    return _offsets(counts).numpy(), items.numpy(), times


def user_second_histories(parts: Sequence[Any], up_to: str, length: int) -> dict[str, tuple[Tensor, Tensor]]:
    """Second histories of every user, the latest tokens up to a part.

    Args:
        parts: Training, validation and test part.
        up_to: As for :func:`user_histories`; of an earlier part than all, what came before the user's first target in
            the next one.
        length: Tokens of a user, at most.

    Returns:
        Offsets, int64 ``[n_users + 1]``, and buckets, int32, by name.
    """
    first = parts[0]
    before = torch.full((first.user_num,), torch.inf, dtype=torch.float64)
    for part in parts[HISTORIES[up_to] :]:
        before.scatter_reduce_(0, part.inter_feat[first.uid_field], part.inter_feat[first.time_field], "amin")
    histories = {}
    for name, history in first.second_histories.items():
        start, end = history.spans(torch.arange(1, first.user_num), before[1:])
        start = torch.maximum(start, end - length)
        size = end - start
        offsets = _offsets(size)
        place = torch.arange(int(offsets[-1])) - (offsets[:-1] - start).repeat_interleave(size)
        histories[name] = offsets, history.buckets[place]
    return histories


def _offsets(counts: Tensor) -> Tensor:
    return torch.cat([counts.new_zeros(1), counts.cumsum(0)])
