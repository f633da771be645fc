"""What every loss can do: score form, vector form, checks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from recbole_logq.losses import limits
from recbole_logq.losses.fused_logsumexp import Kernel
from recbole_logq.losses.precision import no_autocast, working_dtype
from recbole_logq.losses.scores import pool_scores
from recbole_logq.losses.terms import Terms, terms_of

Hits = Literal["masked", "kept", "catalogue"]


class Loss(ABC):
    """One value per row from the score of the positive and the scores of a pool of negatives.

    Scores are what the softmax sees: the temperature is already in them. Half precision is computed in float32,
    float64 stays float64. A row without valid negatives has loss 0 and gradient 0.

    Attributes:
        name: Name in the registry.
        needs_log_q: Whether the loss reads log-probabilities at all.
        hits: What must happen to pool columns that hold the row's own positive item ("accidental hits") for the
            form to be consistent: "masked", "kept", or "catalogue" for a loss over all items, where nothing is.
        over_catalogue: Whether its pool is the whole catalogue.
        takes_counts: Whether adding the log of a count to a column's score makes it count so often.
        takes_certain: Whether it has a place for items that are scored for certain beside the pool, `Terms.certain`.
        takes_targets: Whether positives and columns can be taken for something between yes and no,
            `Terms.positive_target` and `Terms.negative_target`.
        skips_rows: Whether a loss of exactly 0 means that the loss left the row out, not that it fits.
        needs_catalogue_size: Whether the constructor takes `catalogue_size`, the number of items.
        takes_kernel: Whether it is made of a logsumexp over the pool or the catalogue, which a kernel can compute.
        kernel: What computes that: "auto" (the Triton kernel where it is known to be faster), "triton" or "torch".
    """

    name: ClassVar[str]
    needs_log_q: ClassVar[bool]
    hits: ClassVar[Hits]
    over_catalogue: ClassVar[bool] = False
    takes_counts: ClassVar[bool] = False
    takes_certain: ClassVar[bool] = False
    takes_targets: ClassVar[bool] = False
    skips_rows: ClassVar[bool] = False
    needs_catalogue_size: ClassVar[bool] = False
    takes_kernel: ClassVar[bool] = False
    kernel: Kernel = "auto"

    @abstractmethod
    def score_form(self, positive: Tensor, negatives: Tensor, terms: Terms) -> Tensor:
        """The loss itself, `[rows]`, on checked arguments of one floating type; `terms.valid` is a tensor or None."""

    def vector_form(
        self, query: Tensor, positive: Tensor, pool_vectors: Tensor, terms: Terms, block_rows: int
    ) -> Tensor:
        """The loss on vectors, `[rows]`, on checked arguments. Override it where blocks of rows are not enough."""
        rows, pool = len(query), len(pool_vectors)
        score = (query * positive).sum(dim=1)

        def block(start: int, stop: int) -> Tensor:
            negatives = pool_scores(query[start:stop], pool_vectors)
            return self.score_form(score[start:stop], negatives, terms.block(self.name, start, stop, pool))

        blocks = [(start, min(start + block_rows, rows)) for start in range(0, max(rows, 1), block_rows)]
        if rows * pool > limits.WHOLE_MATRIX:  # the backward pass computes a block again
            return torch.cat([checkpoint(block, *ends, use_reentrant=False) for ends in blocks])
        return torch.cat([block(*ends) for ends in blocks])

    def __call__(self, positive: Tensor, negatives: Tensor, terms: Terms | None = None, /, **keywords: Any) -> Tensor:
        """The loss of every row.

        Args:
            positive: `[rows]`, scores of the positives.
            negatives: `[rows, pool]`, scores of the pool. It never contains the column that came from the row's own
                positive - except for a catalogue loss, where it is the whole catalogue.
            terms: What `Pool.terms` gave. Default: nothing is known of the pool.
            **keywords: Fields of `Terms` by name: `positive_log_q`, `negative_log_q`, `valid`, `excluded_log_q`,
                `log_n`, `certain`, `shares`, `positive_target`, `negative_target`.

        Returns:
            `[rows]`, float32 or float64. No gradient flows into the log-probabilities.

        Raises:
            ValueError: A shape does not fit, a log-probability that the loss needs is missing, or it is told of certain
                items or targets, or asked for shares of a softmax, and has no place for them.
            TypeError: A keyword that `Terms` does not have, or one that is in `terms` too.
        """
        if positive.dim() != 1 or negatives.dim() != 2 or len(positive) != len(negatives):
            shapes = f"positive {list(positive.shape)}, negatives {list(negatives.shape)}"
            raise ValueError(f"loss {self.name!r}: expected positive [rows] and negatives [rows, pool], got {shapes}")
        dtype = working_dtype(positive, negatives)
        checked = self._checked(terms, keywords, negatives.shape[0], negatives.shape[1], dtype)
        with no_autocast(negatives):
            return self.score_form(positive.to(dtype), negatives.to(dtype), checked)

    def from_vectors(
        self,
        query: Tensor,
        positive: Tensor,
        pool_vectors: Tensor,
        terms: Terms | None = None,
        /,
        *,
        block_rows: int | None = None,
        **keywords: Any,
    ) -> Tensor:
        """The loss of every row from vectors whose dot products are the scores; what training calls.

        Args:
            query: `[rows, d]`, already divided by the temperature.
            positive: `[rows, d]`, vector of each row's positive item.
            pool_vectors: `[pool, d]`, shared by all rows.
            terms: As in `__call__`.
            block_rows: Rows that are scored at a time. Default: by device, as `limits.tile_rows`.
            **keywords: As in `__call__`; `positive_column` too.

        Returns:
            `[rows]`, as `__call__` gives it for the dot products.

        Raises:
            ValueError: As for `__call__`; also a `block_rows` below 1.
            TypeError: As for `__call__`.
        """
        if query.dim() != 2 or positive.shape != query.shape or pool_vectors.shape[1:] != query.shape[1:]:
            shapes = ", ".join(str(list(tensor.shape)) for tensor in (query, positive, pool_vectors))
            raise ValueError(f"loss {self.name!r}: expected [rows, d], [rows, d] and [pool, d], got {shapes}")
        if block_rows is None:
            block_rows = limits.tile_rows(query.device, len(pool_vectors))
        if block_rows < 1:
            raise ValueError(f"loss {self.name!r}: block_rows must be at least 1, got {block_rows}")
        dtype = working_dtype(query, positive, pool_vectors)
        checked = self._checked(terms, keywords, len(query), len(pool_vectors), dtype)
        with no_autocast(query):
            return self.vector_form(query.to(dtype), positive.to(dtype), pool_vectors.to(dtype), checked, block_rows)

    def _checked(
        self, terms: Terms | None, keywords: dict[str, Any], rows: int, pool: int, dtype: torch.dtype
    ) -> Terms:
        checked = terms_of(terms, keywords).checked(self.name, rows, pool, dtype)
        if checked.certain is not None and not self.takes_certain:
            raise ValueError(f"loss {self.name!r} has no place for items that are scored for certain")
        if checked.shares is not None and not self.takes_counts:
            raise ValueError(f"loss {self.name!r} is no sum of exponentials, and its columns have no shares of one")
        if (checked.positive_target is not None or checked.negative_target is not None) and not self.takes_targets:
            raise ValueError(
                f"loss {self.name!r} takes positives for 1 and negatives for 0, and reads no other targets"
            )
        return checked

    def require(self, argument: str, value: Tensor | None) -> Tensor:
        """`value`, or a ValueError that says which loss misses which argument."""
        if value is None:
            raise ValueError(f"loss {self.name!r} needs {argument}: its correction is made of the pool's log Q")
        return value
