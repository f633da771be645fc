"""Which columns of a pool are negatives of which row."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from recbole_logq.losses.terms import MaskFunction
from recbole_logq.samplers.exclusion import Exclusion

if TYPE_CHECKING:
    from recbole_logq.samplers.pool import Pool


def valid_columns(
    pool: Pool,
    positive_ids: Tensor,
    hits: str,
    start: int = 0,
    stop: int | None = None,
    exclusion: Exclusion | None = None,
) -> Tensor | None:
    """The mask of the rows `start` to `stop`.

    A row's own column - the one that came from its own positive - is never a negative: the positive already stands
    in the denominator. In a pool of distinct ids the own column is the one with the row's id, whichever row it was
    taken from, so there "masked" and "kept" are the same.

    Args:
        pool: The pool of this step.
        positive_ids: int64 `[rows]`, the positives of the whole step, in the order the sampler saw them.
        hits: "masked": no column that holds the row's positive item is valid. "kept": all but the own column are.
            "catalogue": only with a catalogue pool.
        start: First row.
        stop: Row after the last. Default: all.
        exclusion: Further items that are no negatives; not with "kept". In a catalogue the row's own positive stays.

    Returns:
        bool `[stop - start, pool]`; None for a catalogue, where every column counts.

    Raises:
        ValueError: Ids that are not int64 `[rows]`, or a treatment of hits that does not fit the pool.
    """
    mask = mask_function(pool, positive_ids, hits, exclusion)
    return None if mask is None else mask(start, len(positive_ids) if stop is None else stop)


def any_column(mask: MaskFunction, rows: int, block_rows: int = 1024) -> Tensor:
    """Which rows have a valid column at all, bool `[rows]`, block by block."""
    starts = range(0, rows, block_rows)
    return torch.cat([mask(start, min(start + block_rows, rows)).any(1) for start in starts])


def mask_function(
    pool: Pool, positive_ids: Tensor, hits: str, exclusion: Exclusion | None = None
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
    if hits == "catalogue" and exclusion is None:
        return None
    if pool.ids.dim() == 2:
        own = (pool.ids == positive_ids.unsqueeze(1)) | (pool.ids == 0)
        valid = ~(own if exclusion is None else own | exclusion.holds(pool.ids))
        return lambda start, stop: valid[start:stop]
    if hits == "catalogue" and exclusion is not None:
        sets = exclusion

        def left(start: int, stop: int) -> Tensor:
            # Column j is item j + 1. Nothing of the size of users x catalogue exists.
            free = torch.ones(stop - start, len(pool.ids), dtype=torch.bool, device=pool.ids.device)
            row, item = sets.of_rows(start, stop)
            free[row, item - 1] = False
            return free.scatter_(1, positive_ids[start:stop].unsqueeze(1) - 1, True)

        return left
    if exclusion is not None:
        held, row_set = exclusion.columns(pool.ids), exclusion.row_set
        return lambda start, stop: ~held[row_set[start:stop]]
    if hits == "masked" or pool.kind == "inclusion":
        return lambda start, stop: pool.ids != positive_ids[start:stop].unsqueeze(1)
    rows = torch.arange(len(positive_ids), device=pool.origin.device)
    return lambda start, stop: pool.origin != rows[start:stop].unsqueeze(1)
