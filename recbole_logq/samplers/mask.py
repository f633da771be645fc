"""Which columns of a pool are negatives of which row."""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.terms import MaskFunction
from recbole_logq.samplers.distinct import distinct
from recbole_logq.samplers.exclusion import Exclusion


class Columns(Protocol):
    """What a mask reads of a pool."""

    ids: Tensor
    origin: Tensor
    from_batch: bool
    column_group: Tensor | None
    padded: bool

    @property
    def kind(self) -> str:
        """What the pool's probabilities mean."""
        ...


def valid_columns(
    pool: Columns,
    positive_ids: Tensor,
    hits: str,
    start: int = 0,
    stop: int | None = None,
    exclusion: Exclusion | None = None,
    groups: Tensor | None = None,
    own: Exclusion | None = None,
) -> Tensor | None:
    """The mask of the rows `start` to `stop`.

    A row's own column - the one that came from its own positive - is never a negative: the positive already stands
    in the denominator. In a pool of distinct ids the own column is the one with the row's id, whichever row it was
    taken from, so there "masked" and "kept" are the same.

    Columns that rows of the same group brought along leave too: given the row they are in the batch for certain, where
    Q says what a draw holds. Copies of their items that came from elsewhere stay.

    Args:
        pool: The pool of this step.
        positive_ids: int64 `[rows]`, the positives of the whole step, in the order the sampler saw them.
        hits: "masked": no column that holds the row's positive item is valid. "kept": all but the own column are.
            "catalogue": only with a catalogue pool.
        start: First row.
        stop: Row after the last. Default: all.
        exclusion: Further items that are no negatives; not with "kept". In a catalogue the row's own positive stays.
        groups: int64 `[rows]`, what rows come together, such as the window of each. Default: every row is by itself.
        own: Items that each row is scored against apart from the pool; they lie in `exclusion` where that is given.

    Returns:
        bool `[stop - start, pool]`; None for a catalogue, where every column counts.

    Raises:
        ValueError: Ids that are not int64 `[rows]`, or a treatment of hits that does not fit the pool.
    """
    mask = mask_function(pool, positive_ids, hits, exclusion, groups, own)
    return None if mask is None else mask(start, len(positive_ids) if stop is None else stop)


def any_column(mask: MaskFunction, rows: int, block_rows: int = 1024) -> Tensor:
    """Which rows have a valid column at all, bool `[rows]`, block by block."""
    if isinstance(mask, ColumnMask) and mask.matches is not None:
        return mask.matches.others > 0
    starts = range(0, rows, block_rows)
    return torch.cat([mask(start, min(start + block_rows, rows)).any(1) for start in starts])


def mask_function(
    pool: Columns,
    positive_ids: Tensor,
    hits: str,
    exclusion: Exclusion | None = None,
    groups: Tensor | None = None,
    own: Exclusion | None = None,
) -> MaskFunction | None:
    """As `valid_columns`, for losses that ask block by block: a function `(start, stop) -> bool [stop - start, pool]`.

    Raises:
        ValueError: As `valid_columns`.
    """
    if positive_ids.dtype != torch.int64 or positive_ids.dim() != 1:
        raise ValueError(f"positive_ids must be int64 [rows], got {positive_ids.dtype} {list(positive_ids.shape)}")
    if (hits == "catalogue") != (pool.kind == "catalogue") or hits not in ("masked", "kept", "catalogue"):
        raise ValueError(f"hits {hits!r} does not fit a pool of kind {pool.kind!r}")
    if exclusion is not None and hits == "kept":
        raise ValueError("hits 'kept' counts accidental hits as negatives and excludes nothing: use mask 'target'")
    sets = own if exclusion is None else exclusion
    if pool.kind == "catalogue":
        return None if sets is None else _of_catalogue(len(pool.ids), positive_ids, sets)
    if pool.ids.dim() == 2:
        no_negative = (pool.ids == positive_ids.unsqueeze(1)) | (pool.ids == 0)
        valid = ~(no_negative if sets is None else no_negative | sets.holds(pool.ids))
        return lambda start, stop: valid[start:stop]
    if hits == "kept" and pool.kind != "inclusion":
        row_key, column_key = _origins(pool, positive_ids, groups)
        if sets is None:
            return ColumnMask(row_key, column_key)
        # Of the items that are scored apart the positive is none: its copies stay.
        return ColumnMask(
            row_key, column_key, positive_ids, pool.ids, sets.row_set, sets.columns(pool.ids), spares_own=True
        )
    row_set = held = None
    if sets is not None:
        row_set, held = sets.row_set, sets.columns(pool.ids)
    if pool.padded:  # what is not there is in every set, or in the one that all rows have
        padding = (pool.ids == 0).unsqueeze(0)
        row_set, held = (torch.zeros_like(positive_ids), padding) if held is None else (row_set, held | padding)
    row_id, column_id = (positive_ids, pool.ids) if sets is None else (None, None)
    if groups is None or not pool.from_batch or (sets is not None and sets.whole):
        return ColumnMask(None, None, row_id, column_id, row_set, held)
    return ColumnMask(*_origins(pool, positive_ids, groups), row_id, column_id, row_set, held)


def _origins(pool: Columns, positive_ids: Tensor, groups: Tensor | None) -> tuple[Tensor, Tensor]:
    """Keys of rows and of columns, equal where the row itself or a row of its group brought a column along."""
    if groups is None or not pool.from_batch:
        rows = torch.arange(len(positive_ids), device=pool.origin.device)
        return rows, pool.origin
    column_group = pool.column_group
    if column_group is None:
        column_group = group_of_columns(pool, positive_ids, groups)
    return groups, column_group


def group_of_columns(pool: Columns, positive_ids: Tensor, groups: Tensor) -> Tensor:
    """The group that alone brought each column along, int64 `[pool]`; -1 for a column that came another way too.

    Args:
        pool: A pool that all rows share.
        positive_ids: int64 `[rows]`, all positives that the pool was made from, in the order the sampler saw them.
        groups: int64 `[rows]`, from 0 up.
    """
    if pool.kind != "inclusion":
        row = pool.origin.clamp_min(0)
        return torch.where(pool.origin >= 0, groups[row], -1) if len(groups) else torch.full_like(pool.origin, -1)
    items, place, *_ = distinct(positive_ids)
    low, high = (
        torch.zeros_like(items).scatter_reduce(0, place, groups, end, include_self=False) for end in ("amin", "amax")
    )
    return torch.where(low == high, low, -1)[torch.searchsorted(items, pool.ids)]


def _of_catalogue(n_items: int, positive_ids: Tensor, sets: Exclusion) -> MaskFunction:
    def valid(start: int, stop: int) -> Tensor:
        # Column j is item j + 1. Nothing of the size of users x catalogue exists.
        return sets.free_of_rows(start, stop, n_items).scatter_(1, positive_ids[start:stop].unsqueeze(1) - 1, True)

    return valid
