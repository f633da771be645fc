"""What a loss is told of a pool: its probabilities and its mask, made by the pool, cut into blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor

from recbole_logq.losses.shares import ColumnShares

MaskFunction = Callable[[int, int], Tensor]


@dataclass(frozen=True, eq=False)
class Terms:
    """What `Pool.terms` makes and every loss takes, as a whole or as keyword arguments.

    It can be indexed by name, and `**terms` passes on what is not None.

    Args:
        positive_log_q: `[rows]`, log-probability of the positive under one draw of the pool.
        negative_log_q: `[pool]` or `[rows, pool]`, the same for the columns. For a pool of distinct ids, the log of
            the inclusion probability.
        valid: bool `[rows, pool]`, the columns that count; or a function `(start, stop) -> bool [stop - start, pool]`,
            so that the mask need not exist for all rows at once. It may be called more than once and must answer the
            same. Default: all.
        excluded_log_q: `[rows]` or `[rows, pool]`, log of the mass that masking takes out of the pool's law. Default:
            `positive_log_q`; -inf for none.
        log_rest: `[rows]`, log(1 - Q) of the positive, where it is at hand; not read beside `excluded_log_q`. Default:
            worked out of `positive_log_q`.
        log_n: Scalar or `[rows]`, log of the number of draws. Default: log of the row's valid columns; 0 for inclusion
            probabilities.
        certain: `[rows]`, logsumexp of the scores of items that a row is scored against for certain beside the pool,
            each with weight 1, such as the user's own other items; about -1e30 for a row without any. They are no
            columns of the pool, and `excluded_log_q` has their mass. A gradient flows into it.
        positive_column: int64 `[rows]`, the column of a catalogue that is the row's positive, for losses that pick
            columns themselves and must leave it out; others do not read it.
        shares: Zeros to add to the columns' scores and to the losses, for a source that learns from their gradients.
        positive_target: `[rows]`, what a pointwise loss takes each positive for, between 0 and 1. Default: 1.
        negative_target: `[rows, pool]`, the same for the columns. Default: 0.
    """

    positive_log_q: Tensor | None = None
    negative_log_q: Tensor | None = None
    valid: Tensor | MaskFunction | None = None
    excluded_log_q: Tensor | None = None
    log_rest: Tensor | None = None
    log_n: Tensor | float | None = None
    certain: Tensor | None = None
    positive_column: Tensor | None = None
    shares: ColumnShares | None = None
    positive_target: Tensor | None = None
    negative_target: Tensor | None = None

    def keys(self) -> list[str]:
        """Names of what is not None; with `[]` it is what `**terms` needs."""
        return [field.name for field in fields(self) if getattr(self, field.name) is not None]

    def __getitem__(self, name: str) -> Any:
        if name not in self.__dataclass_fields__:
            raise KeyError(name)
        return getattr(self, name)

    def checked(self, name: str, rows: int, pool: int, dtype: torch.dtype) -> Terms:
        """The same terms in the loss's working precision, without gradient into the pool's law.

        Raises:
            ValueError: A shape that does not fit `rows` and `pool`, or a mask that is not boolean.
        """
        per_row, per_column, per_pair = (rows,), (pool,), (rows, pool)
        if isinstance(self.valid, Tensor):
            _check_shape(name, "valid", self.valid, per_pair)
            _check_boolean(name, self.valid)
        if self.positive_column is not None:
            _check_shape(name, "positive_column", self.positive_column, per_row)
        if self.certain is not None:
            _check_shape(name, "certain", self.certain, per_row)
        log_n = self.log_n
        return replace(
            self,
            positive_log_q=_prepared(name, "positive_log_q", self.positive_log_q, dtype, per_row),
            negative_log_q=_prepared(name, "negative_log_q", self.negative_log_q, dtype, per_column, per_pair),
            excluded_log_q=_prepared(name, "excluded_log_q", self.excluded_log_q, dtype, per_row, per_pair),
            log_rest=_prepared(name, "log_rest", self.log_rest, dtype, per_row),
            log_n=_prepared(name, "log_n", log_n, dtype, (), per_row) if isinstance(log_n, Tensor) else log_n,
            certain=None if self.certain is None else self.certain.to(dtype),
            positive_target=_prepared(name, "positive_target", self.positive_target, dtype, per_row),
            negative_target=_prepared(name, "negative_target", self.negative_target, dtype, per_pair),
        )

    def mask(self, name: str, start: int, stop: int, pool: int) -> Tensor | None:
        """Valid columns of rows `start` to `stop`: bool `[stop - start, pool]`, None if all are valid."""
        if self.valid is None or isinstance(self.valid, Tensor):
            return None if self.valid is None else self.valid[start:stop]
        mask = self.valid(start, stop)
        _check_shape(name, f"valid({start}, {stop})", mask, (stop - start, pool))
        _check_boolean(name, mask)
        return mask

    def block(self, name: str, start: int, stop: int, pool: int) -> Terms:
        """The terms of rows `start` to `stop`. What belongs to columns alone, or to everything, is kept whole."""

        def cut(value: Tensor | None, per_row_dim: int) -> Tensor | None:
            return value[start:stop] if value is not None and value.dim() >= per_row_dim else value

        log_n = self.log_n
        return Terms(
            positive_log_q=cut(self.positive_log_q, 1),
            negative_log_q=cut(self.negative_log_q, 2),
            valid=self.mask(name, start, stop, pool),
            excluded_log_q=cut(self.excluded_log_q, 1),
            log_rest=cut(self.log_rest, 1),
            log_n=cut(log_n, 1) if isinstance(log_n, Tensor) else log_n,
            certain=cut(self.certain, 1),
            positive_column=cut(self.positive_column, 1),
            shares=self.shares,
            positive_target=cut(self.positive_target, 1),
            negative_target=cut(self.negative_target, 2),
        )


def terms_of(terms: Terms | None, keywords: dict[str, Any]) -> Terms:
    """The terms that a loss was called with, as a whole or by name.

    Raises:
        TypeError: An unknown name, or something given both ways.
    """
    if terms is None:
        return Terms(**keywords)
    if twice := keywords.keys() & set(terms.keys()):
        raise TypeError(f"{min(twice)} is given twice: in the terms and by name")
    return replace(terms, **keywords)


def _prepared(
    name: str, argument: str, value: Tensor | None, dtype: torch.dtype, *shapes: tuple[int, ...]
) -> Tensor | None:
    if value is None:
        return None
    _check_shape(name, argument, value, *shapes)
    # A pool's law is a constant of the step: a gradient into it would train the sampler, not the model.
    return value.detach().to(dtype)


def _check_shape(name: str, argument: str, value: Tensor, *shapes: tuple[int, ...]) -> None:
    if tuple(value.shape) not in shapes:
        expected = " or ".join(str(list(shape)) for shape in shapes)
        raise ValueError(f"loss {name!r}: {argument} has shape {list(value.shape)}, expected {expected}")


def _check_boolean(name: str, mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise ValueError(f"loss {name!r}: valid must be a bool tensor, got {mask.dtype}")
