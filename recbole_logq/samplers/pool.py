"""A pool: negative item ids that all rows of a step share, and the law they were drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypedDict

import torch
from torch import Tensor

PoolKind = Literal["draws", "inclusion", "catalogue"]


class PoolTerms(TypedDict):
    """Keyword arguments that describe a pool to a loss."""

    positive_log_q: Tensor | None
    negative_log_q: Tensor | None
    excluded_log_q: Tensor | None
    log_n: Tensor | float | None


@dataclass
class Pool:
    """Ids with the log-probability of having them.

    Args:
        ids: int64 `[pool]`, item ids.
        kind: What `log_q` means. "draws": every column is one draw, ids may repeat, `log_q` is the probability of one
            draw. "inclusion": ids are distinct, `log_q` is the probability that the pool holds the id.
            "catalogue": every item once, no probabilities.
        origin: int64 `[pool]`, the row whose positive a column is; -1 for a column that comes from no single row.
        log_q: float32 `[pool]`, None for a catalogue.
        law: Function from ids (any shape) to their `log_q`; None for a catalogue.
        excluded_law: Function from the rows' positives to the log of the mass that masking them takes out of each
            column's law, `[rows, pool]`, where columns follow different laws; None where it is their own `log_q`.
        vectors: `[pool, d]` if the sampler brings its own item vectors, else None.

    Raises:
        ValueError: Types or shapes that do not fit together.
    """

    ids: Tensor
    kind: PoolKind
    origin: Tensor
    log_q: Tensor | None = None
    law: Callable[[Tensor], Tensor] | None = None
    excluded_law: Callable[[Tensor], Tensor] | None = None
    vectors: Tensor | None = None

    def __post_init__(self) -> None:
        # float32 has no odd integers above 2^24: an id that passed through it names another item.
        if self.ids.dtype != torch.int64 or self.ids.dim() != 1:
            raise ValueError(f"pool ids must be int64 [pool], got {self.ids.dtype} {list(self.ids.shape)}")
        if self.origin.dtype != torch.int64 or self.origin.shape != self.ids.shape:
            raise ValueError(f"origin must be int64 {list(self.ids.shape)}, got {list(self.origin.shape)}")
        if self.kind not in ("draws", "inclusion", "catalogue"):
            raise ValueError(f"unknown kind of pool {self.kind!r}")
        if self.kind != "catalogue" and (self.law is None or self.log_q is None or self.log_q.shape != self.ids.shape):
            raise ValueError(f"a pool of kind {self.kind!r} needs log_q {list(self.ids.shape)} and the law behind it")

    def log_q_of(self, ids: Tensor) -> Tensor:
        """log-probability of any items under this pool's law, in the pool or not: float32, shape of `ids`.

        It is -inf for an item the pool can not hold, such as a validation target without training targets.

        Raises:
            ValueError: The pool is a catalogue.
        """
        if self.law is None:
            raise ValueError("a catalogue pool has no log-probabilities: nothing was drawn")
        return self.law(ids)

    def terms(self, positive_ids: Tensor) -> PoolTerms:
        """What a loss must be told about this pool.

        Args:
            positive_ids: int64 `[rows]`.

        Returns:
            Keyword arguments for a loss. For draws, the excluded mass and n are the loss's defaults. A pool of
            distinct ids is weighted by inclusion probabilities: nothing is renormalised and there is no n.
        """
        if self.kind == "catalogue":
            return PoolTerms(positive_log_q=None, negative_log_q=None, excluded_log_q=None, log_n=None)
        positive = self.log_q_of(positive_ids)
        if self.kind == "draws":
            excluded = self.excluded_law(positive_ids) if self.excluded_law is not None else None
            return PoolTerms(positive_log_q=positive, negative_log_q=self.log_q, excluded_log_q=excluded, log_n=None)
        nothing = torch.full_like(positive, -torch.inf)
        return PoolTerms(positive_log_q=positive, negative_log_q=self.log_q, excluded_log_q=nothing, log_n=0.0)
