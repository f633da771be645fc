"""What a reader of results should know of the parts of a ready-made split."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from recbole_logq.data.dataset.ready_made import PARTS


def facts_of_parts(users: Tensor, items: Tensor, part: Tensor, first_has_no_target: bool) -> Iterator[tuple[str, bool]]:
    """A sentence for each part after training, and whether it is more than a size.

    Args:
        users: Users of the interactions; int64 ``[interactions]``.
        items: Items of the interactions, of the same shape.
        part: Number of the part of each; int64 ``[interactions]``.
        first_has_no_target: Whether the model is not tested on a user's first interaction.
    """
    pairs = users * (int(items.max()) + 1) + items
    training = part == 0
    first = torch.full((int(users.max()) + 1,), len(PARTS)).scatter_reduce(0, users, part, "amin")
    for number, name in enumerate(PARTS[1:], 1):
        rows = part == number
        counts = {
            "of users without a training interaction": ~torch.isin(users[rows], users[training]),
            "of items without a training interaction": ~torch.isin(items[rows], items[training]),
            "in an earlier part too (rm_dup_inter=first takes them out)": torch.isin(pairs[rows], pairs[part < number]),
        }
        if first_has_no_target:
            reason = "no targets, since a sequential model has none for a user's first interaction"
            counts[reason] = first == number
        facts = [f"{int(mask.sum()):,} are {description}" for description, mask in counts.items() if mask.any()]
        size = f"{name} part: {int(rows.sum()):,} interactions"
        yield (f"{size}; {', '.join(facts)}", True) if facts else (size, False)


def overlap_in_time(users: Tensor, times: Tensor) -> str | None:
    """A sentence if parts do not come one after the other in time; None if they do for every user.

    Args:
        users: Users of the interactions, in the order of users, parts and times; int64 ``[interactions]``.
        times: float64 ``[interactions]``.
    """
    back = (users[1:] == users[:-1]) & (times[1:] < times[:-1])
    if not back.any():
        return None
    return (
        f"{len(users[1:][back].unique()):,} of {len(users.unique()):,} users have interactions that are later than "
        "some of a later part; parts go before time, so a target's history is all of the earlier parts"
    )
