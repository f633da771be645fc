"""Which columns of a pool are negatives of which row."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.samplers.pool import Pool


def valid_columns(
    pool: Pool, positive_ids: Tensor, hits: str, start: int = 0, stop: int | None = None
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

    Returns:
        bool `[stop - start, pool]`; None for a catalogue, where every column counts.

    Raises:
        ValueError: Ids that are not int64 `[rows]`, or a treatment of hits that does not fit the pool.
    """
    if positive_ids.dtype != torch.int64 or positive_ids.dim() != 1:
        raise ValueError(f"positive_ids must be int64 [rows], got {positive_ids.dtype} {list(positive_ids.shape)}")
    if (hits == "catalogue") != (pool.kind == "catalogue") or hits not in ("masked", "kept", "catalogue"):
        raise ValueError(f"hits {hits!r} does not fit a pool of kind {pool.kind!r}")
    if hits == "catalogue":
        return None
    if hits == "masked" or pool.kind == "inclusion":
        return pool.ids != positive_ids[start:stop].unsqueeze(1)
    rows = torch.arange(len(positive_ids), device=pool.origin.device)[start:stop]
    return pool.origin != rows.unsqueeze(1)
