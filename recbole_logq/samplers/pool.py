"""A pool: negative item ids of a step, and the law they were drawn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from recbole_logq.losses.shares import ColumnShares
from recbole_logq.losses.terms import Terms
from recbole_logq.samplers.exclusion import Exclusion
from recbole_logq.samplers.mask import mask_function
from recbole_logq.samplers.table_law import TableLaw

PoolKind = Literal["draws", "inclusion", "catalogue", "observed"]
Law = Callable[[Tensor], Tensor]
_NEARLY_ONE = 1e-3  # what rounding may add to the logarithm of a probability


class Beside(NamedTuple):
    """Another pool for the same rows, whose loss is added: the rest of the share is that of the pool it lies beside.

    Attributes:
        pool: The other pool.
        share: Its share of the loss, between 0 and 1.
    """

    pool: Pool
    share: float


@dataclass
class Pool:
    """Ids with the log-probability of having them.

    Args:
        ids: int64 `[pool]`, item ids that all rows share, 0 for a column that is not there where they are padded; or
            `[rows, pool]`, 0 where a row has fewer.
        kind: What `log_q` means. "draws": every column is one draw, ids may repeat, `log_q` is the probability of one
            draw. "inclusion": ids are distinct, `log_q` is the probability that the pool holds the id.
            "catalogue": every item once, no probabilities. "observed": what the data says, no probabilities.
        origin: int64, shape of `ids`, the row whose positive a column is; -1 for a column that comes from no single
            row of this process.
        log_q: float32, shape of `ids`; None for a kind without probabilities.
        law: Function from ids (any shape) to their `log_q`; None for a kind without probabilities.
        part: int64 `[pool]`, which of `part_laws` a column follows; None where all follow `law`.
        part_laws: The laws of the parts.
        from_batch: Whether columns are positives of the batch, or some of them.
        column_group: int64 `[pool]`, the group of rows that alone brought a column along, -1 for none; None where that
            is not worked out yet.
        groups: Slices of the columns and the weight of the loss over each, for sources whose loss is a weighted sum;
            None for one loss over all columns.
        held_law: As `law`, for items that the row's own unit (its window) holds too; None where that is no matter.
        held: What the windows of all rows hold, a set for each; None where it is not looked at.
        shares: What a source that learns wants to know of its columns; None for others.
        padded: Whether shared ids may be 0.
        stored: Vectors of the last columns, `[columns, d]`, as an earlier step had them, in place of the items' current
            ones; None where all columns have these.
        beside: Another pool of the step, and its share of the loss; None for one pool.
        target: Floating, shape of `ids`, what a pointwise loss takes each column for, between 0 and 1; None for 0.
        positive_target: Floating `[rows]`, the same for the positives; None for 1.

    Raises:
        ValueError: Types or shapes that do not fit together.
    """

    ids: Tensor
    kind: PoolKind
    origin: Tensor
    log_q: Tensor | None = None
    law: Law | None = None
    part: Tensor | None = None
    part_laws: tuple[Law, ...] = ()
    from_batch: bool = False
    column_group: Tensor | None = None
    groups: tuple[tuple[slice, float], ...] | None = None
    held_law: Law | None = None
    held: Exclusion | None = None
    shares: ColumnShares | None = None
    padded: bool = False
    stored: Tensor | None = None
    beside: Beside | None = None
    target: Tensor | None = None
    positive_target: Tensor | None = None

    def __post_init__(self) -> None:
        # float32 has no odd integers above 2^24: an id that passed through it names another item.
        if self.ids.dtype != torch.int64 or self.ids.dim() not in (1, 2):
            raise ValueError(
                f"pool ids must be int64 [pool] or [rows, pool], got {self.ids.dtype} {list(self.ids.shape)}"
            )
        if self.origin.dtype != torch.int64 or self.origin.shape != self.ids.shape:
            raise ValueError(f"origin must be int64 {list(self.ids.shape)}, got {list(self.origin.shape)}")
        if self.kind not in ("draws", "inclusion", "catalogue", "observed"):
            raise ValueError(f"unknown kind of pool {self.kind!r}")
        known = self.law is not None and self.log_q is not None and self.log_q.shape == self.ids.shape
        if self.kind in ("draws", "inclusion") and not known:
            raise ValueError(f"a pool of kind {self.kind!r} needs log_q {list(self.ids.shape)} and the law behind it")

    def check(self, n_items: int) -> None:
        """Look at the values, which makes a host wait for its device: once, for a source that nobody has tested.

        Args:
            n_items: Number of items, the padding item 0 among them.

        Raises:
            ValueError: An id is no item, or `log_q` is no probability or not what the law says.
        """
        least = 0 if self.padded or self.ids.dim() == 2 else 1
        if bool(((self.ids < least) | (self.ids >= n_items)).any()):
            raise ValueError(f"ids must be from {least} to {n_items - 1}")
        if self.log_q is None or self.law is None:
            return
        there = self.ids > 0
        log_q, law = self.log_q[there].float(), self.law(self.ids[there]).float()
        if bool((log_q.isnan() | (log_q > _NEARLY_ONE)).any()):
            raise ValueError("log_q must be logarithms of probabilities, 0 at most")
        if self.part is None and not torch.allclose(log_q, law, rtol=1e-3, atol=1e-3):
            raise ValueError("law(ids) must be log_q")

    def looked_up(self) -> Tensor:
        """Ids of the columns that have the items' current vectors: int64, in one dimension."""
        return (self.ids if self.stored is None else self.ids[: len(self.ids) - len(self.stored)]).flatten()

    def log_q_of(self, ids: Tensor) -> Tensor:
        """log-probability of any items under this pool's law, in the pool or not: float32, shape of `ids`.

        It is -inf for an item the pool cannot hold, such as a validation target without training targets.

        Raises:
            ValueError: The pool has no probabilities.
        """
        if self.law is None:
            raise ValueError(f"a pool of kind {self.kind!r} has no log-probabilities: nothing was drawn")
        return self.law(ids)

    def seen_from(self, own: Tensor, n_rows: int) -> Pool:
        """A pool made from more positives than one needs, such as those of all processes.

        Args:
            own: int64 `[rows]`, where the wanted rows stand among all; other rows become origin -1.
            n_rows: Number of all rows.
        """
        row_of = self.origin.new_full((n_rows + 1,), -1)  # the last entry is what an origin of -1 finds
        row_of[own] = torch.arange(len(own), device=own.device)
        return replace(self, origin=row_of[self.origin])

    def terms(
        self,
        positive_ids: Tensor,
        exclusion: Exclusion | None = None,
        hits: str | None = None,
        groups: Tensor | None = None,
        own: Exclusion | None = None,
        certain: Tensor | None = None,
    ) -> Terms:
        """What a loss must be told about this pool.

        Args:
            positive_ids: int64 `[rows]`.
            exclusion: What the rows' mask takes out beyond their positive.
            hits: Treatment of accidental hits, as in `valid_columns`, whose mask is then among the terms as a function;
                None for terms without a mask.
            groups: Rows that come together, as in `valid_columns`.
            own: Items that each row is scored against apart from the pool, as in `valid_columns`.
            certain: `[rows]`, logsumexp of the scores of `own`, the positive left out.

        Returns:
            Terms for a loss. For draws, n is the loss's default, and so is the excluded mass unless more than the
            positive is excluded or columns follow different laws. A pool of distinct ids is weighted by inclusion
            probabilities: nothing is renormalised and there is no n.

        Raises:
            ValueError: A treatment of hits that does not fit the pool.
        """
        terms = self._terms(positive_ids, exclusion, hits, groups, own, certain)
        if self.target is None and self.positive_target is None:
            return terms
        return replace(terms, positive_target=self.positive_target, negative_target=self.target)

    def _terms(
        self,
        positive_ids: Tensor,
        exclusion: Exclusion | None,
        hits: str | None,
        groups: Tensor | None,
        own: Exclusion | None,
        certain: Tensor | None,
    ) -> Terms:
        valid = None if hits is None else mask_function(self, positive_ids, hits, exclusion, groups, own)
        if self.law is None:
            return Terms(valid=valid, certain=certain, shares=self.shares)
        positive = self.log_q_of(positive_ids)
        if self.kind == "inclusion":
            empty = torch.full_like(positive, -torch.inf)
            log_q, sets = self.log_q, own if exclusion is None else exclusion
            # Of items that are masked anyway it is no matter.
            if self.held and self.held_law and groups is not None and log_q is not None and not (sets and sets.whole):
                log_q = torch.where(self.held.columns(self.ids)[groups], self.held_law(self.ids), log_q)  # [rows, pool]
            return Terms(positive, log_q, valid, excluded_log_q=empty, log_n=0.0, certain=certain, shares=self.shares)
        excluded = self._excluded(positive_ids, own if exclusion is None else exclusion, hits)
        log_rest = self.law.rest(positive_ids) if excluded is None and isinstance(self.law, TableLaw) else None
        return Terms(positive, self.log_q, valid, excluded, log_rest, certain=certain, shares=self.shares)

    def _excluded(self, positive_ids: Tensor, sets: Exclusion | None, hits: str | None) -> Tensor | None:
        def mass(law: Law) -> Tensor:
            if sets is None:
                return law(positive_ids)
            excluded = sets.log_mass(law)
            # Where copies of the positive stay, what is taken out is the rest of its set.
            return excluded if hits != "kept" else _log_difference(excluded, law(positive_ids))

        if self.part is not None:
            return torch.stack([mass(law) for law in self.part_laws], dim=1)[:, self.part]
        return None if sets is None or self.law is None else mass(self.law)


def _log_difference(log_whole: Tensor, log_part: Tensor) -> Tensor:
    """log of the difference of two probabilities, the second a part of the first."""
    return (log_whole.double().exp() - log_part.double().exp()).clamp_min(0.0).log().to(log_whole.dtype)
