"""Items that are never negatives of a row, beyond its own positive."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from recbole_logq.samplers.distinct import Distinct, distinct, pads
from recbole_logq.samplers.user_items import UserItems

MASKS = ("target", "query", "history")
"""What is masked: the row's positive; all positives of the same user in this batch; all training items of the user."""

DIGIT = 1 << 32
"""Ids of items are below it, and so are numbers of sets."""


@dataclass(frozen=True)
class Exclusion:
    """Sets of items that rows share.

    Args:
        row_set: int64 `[rows]`, the set of each row.
        pair_set: int64 `[pairs]`, a set, and beside it
        pair_item: int64 `[pairs]`, an item in it. Sets stand one after the other, each in the order of its items.
        n_sets: Number of sets; numbers in `row_set` and `pair_set` are below it.
        repeated: bool `[pairs]`, pairs that stand before themselves already. Default: no pair stands twice.
        whole: Whether a row's set holds all that rows of its group, such as a window, have as positives.
    """

    row_set: Tensor
    pair_set: Tensor
    pair_item: Tensor
    n_sets: int
    repeated: Tensor | None = None
    whole: bool = True

    def of(self, rows: Tensor) -> Exclusion:
        """The sets of some rows, int64 `[any]`, which may stand several times."""
        return replace(self, row_set=self.row_set[rows])

    def seen_from(self, first: int, n_rows: int) -> Exclusion:
        """The part for ``n_rows`` rows from ``first`` on, out of those of all processes."""
        return replace(self, row_set=self.row_set[first : first + n_rows])

    def columns(self, ids: Tensor) -> Tensor:
        """Which columns of a shared pool each set holds: bool `[n_sets, pool]` for int64 `[pool]`."""
        if not len(ids):
            return torch.zeros(self.n_sets, 0, dtype=torch.bool, device=ids.device)
        # An item's place is the first of its columns, by searches alone: counting distinct ids, or the pairs that the
        # pool holds, would make the host wait for an accelerator.
        ordered = ids.sort().values
        place = torch.searchsorted(ordered, self.pair_item).clamp_max(len(ids) - 1)
        place = torch.where(ordered[place] == self.pair_item, place, len(ids))  # one column more takes the others
        held = torch.zeros(self.n_sets, len(ids) + 1, dtype=torch.bool, device=ids.device)
        held[self.pair_set, place] = True
        return held[:, torch.searchsorted(ordered, ids)]

    def of_rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """The items of the sets of rows: the row's place among them, and the item; the host waits for their number."""
        sets = self.row_set[start:stop]
        first, last = (torch.searchsorted(self.pair_set, sets + after) for after in (0, 1))  # pairs stand set by set
        sizes = last - first
        row = torch.arange(len(sets), device=sets.device).repeat_interleave(sizes)
        place = torch.arange(len(row), device=sets.device) + (first - (sizes.cumsum(0) - sizes))[row]
        return row, self.pair_item[place]

    def free_of_rows(self, start: int, stop: int, n_items: int) -> Tensor:
        """Which of the items 1 to `n_items` the sets of rows do not hold: bool `[stop - start, n_items]`."""
        sets, rows, device = self.row_set[start:stop], stop - start, self.row_set.device
        free = torch.ones(rows + pads(device), n_items, dtype=torch.bool, device=device)
        if not pads(device):
            row, item = self.of_rows(start, stop)
            free[row, item - 1] = False
            return free
        # The number of these pairs would have to be waited for. A set stands in the row of one that has it; those that
        # no row here has stand in the last one.
        slot = torch.full((self.n_sets,), rows, device=device)
        slot[sets] = torch.arange(rows, device=device)
        free[slot[self.pair_set], self.pair_item - 1] = False
        return free[slot[sets]]

    def holds(self, ids: Tensor) -> Tensor:
        """Whether each row's set holds the ids of its row: bool `[rows, n]` for int64 `[rows, n]`."""
        width = max(int(ids.max()) if ids.numel() else 0, int(self.pair_item.max()) if len(self.pair_item) else 0) + 1
        return torch.isin(self.row_set.unsqueeze(1) * width + ids, self.pair_set * width + self.pair_item)

    def log_mass(self, law: Callable[[Tensor], Tensor]) -> Tensor:
        """log of each row's excluded probability under a law of single draws: `[rows]`, as the law; -inf for none."""
        stated = law(self.pair_item)
        log_q = stated.double()
        if self.repeated is not None:
            log_q = log_q.masked_fill(self.repeated, -torch.inf)
        peak = log_q.new_full((self.n_sets,), -torch.inf).scatter_reduce(0, self.pair_set, log_q, "amax")
        peak = peak.masked_fill(peak.isneginf(), 0.0)
        mass = torch.zeros_like(peak).index_add_(0, self.pair_set, (log_q - peak[self.pair_set]).exp())
        return (mass.log() + peak)[self.row_set].to(stated.dtype)


def exclusion_of(
    mask: str, positives: Tensor, users: Tensor | None = None, history: UserItems | None = None
) -> Exclusion | None:
    """The sets that a mask asks for; a row's own positive is always among them.

    Args:
        mask: One of `MASKS`.
        positives: int64 `[rows]`, of this step.
        users: int64 `[rows]`; needed unless the mask is "target".
        history: The users' training items; needed for "history".

    Returns:
        None for "target", which needs no sets.

    Raises:
        ValueError: Unknown mask, or something is missing for it.
    """
    if mask not in MASKS:
        raise ValueError(f"unknown mask {mask!r}: one of {', '.join(MASKS)}")
    if mask == "target":
        return None
    if users is None or (mask == "history" and history is None):
        raise ValueError(f"mask {mask!r} needs the rows' users" + (" and their history" if mask == "history" else ""))
    if mask == "query" or history is None:
        return shared_items(users, positives)
    owners = distinct(users)
    owner, known, n_sets = history.of_distinct(owners)
    return _exclusion(owners, torch.cat([owner, owners.place]), torch.cat([known, positives]), n_sets)


def shared_items(
    group: Tensor, positives: Tensor, further_group: Tensor | None = None, further: Tensor | None = None
) -> Exclusion:
    """The items of rows that belong together: of a user, or of a window.

    Args:
        group: int64 `[rows]`, what each row belongs to.
        positives: int64 `[rows]`.
        further_group: int64 `[n]`, groups of rows that have further items, and beside it
        further: int64 `[n]`, such an item.
    """
    groups = distinct(group)
    sets, items, n_sets = groups.place, positives, len(groups.values)
    if further_group is not None and further is not None:
        place = torch.searchsorted(groups.values, further_group).clamp_max(max(n_sets - 1, 0))
        known = groups.values[place] == further_group if n_sets else torch.zeros_like(further_group, dtype=torch.bool)
        sets, items = torch.cat([sets, place[known]]), torch.cat([positives, further[known]])
    return _exclusion(groups, sets, items, n_sets)


def window_items(windows: Tensor, positives: Tensor, first_items: Tensor, n_items: int) -> Exclusion:
    """The items of whole windows: the first input and the targets of each. No size of it depends on values.

    Args:
        windows: int64 `[rows]`, the window of each row, from 0 up; every window has rows.
        positives: int64 `[rows]`, their targets.
        first_items: int64 `[windows]`, the first input of each window.
        n_items: Ids are below it.
    """
    window_ids = torch.arange(len(first_items), device=windows.device)
    pairs = torch.cat([windows, window_ids]) * n_items + torch.cat([positives, first_items])
    return _with_repeats(windows, pairs, len(first_items), n_items)


def target_items(rows: Tensor, targets: Tensor, n_rows: int, n_items: int) -> Exclusion:
    """The targets of rows that have several, for each pair of a row and a target. No size of it depends on values.

    Args:
        rows: int64 `[pairs]`, below `n_rows`.
        targets: int64 `[pairs]`, a target of the row beside it.
        n_rows: Number of rows.
        n_items: Ids are below it.
    """
    return replace(_with_repeats(rows, rows * n_items + targets, n_rows, n_items), whole=False)


def _with_repeats(row_set: Tensor, pairs: Tensor, n_sets: int, n_items: int) -> Exclusion:
    pairs = pairs.sort().values
    repeated = torch.cat([torch.zeros_like(pairs[:1], dtype=torch.bool), pairs[1:] == pairs[:-1]])
    return Exclusion(row_set, torch.div(pairs, n_items, rounding_mode="floor"), pairs % n_items, n_sets, repeated)


def _exclusion(groups: Distinct, sets: Tensor, items: Tensor, n_sets: int) -> Exclusion:
    pairs = sets * DIGIT + items
    if groups.padded:  # so are pairs: the number of distinct ones would have to be waited for
        return _with_repeats(groups.place, pairs, n_sets, DIGIT)
    pairs = torch.unique(pairs)
    return Exclusion(groups.place, torch.div(pairs, DIGIT, rounding_mode="floor"), pairs % DIGIT, n_sets)
