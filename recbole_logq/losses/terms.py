"""The probabilities and the mask that come with a pool, checked once and cut into blocks of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

MaskFunction = Callable[[int, int], Tensor]


@dataclass(frozen=True)
class Terms:
    """Keyword arguments of a loss; see `Loss.__call__` for their meaning and shapes."""

    positive_log_q: Tensor | None = None
    negative_log_q: Tensor | None = None
    valid: Tensor | MaskFunction | None = None
    excluded_log_q: Tensor | None = None
    log_n: Tensor | float | None = None
    positive_column: Tensor | None = None

    def checked(self, name: str, rows: int, pool: int, dtype: torch.dtype) -> Terms:
        """The same terms in the loss's working precision, without gradient.

        Raises:
            ValueError: A shape that does not fit `rows` and `pool`, or a mask that is not boolean.
        """
        per_row, per_column, per_pair = (rows,), (pool,), (rows, pool)
        if isinstance(self.valid, Tensor):
            _check_shape(name, "valid", self.valid, per_pair)
            _check_boolean(name, self.valid)
        if self.positive_column is not None:
            _check_shape(name, "positive_column", self.positive_column, per_row)
        log_n = self.log_n
        return replace(
            self,
            positive_log_q=_prepared(name, "positive_log_q", self.positive_log_q, dtype, per_row),
            negative_log_q=_prepared(name, "negative_log_q", self.negative_log_q, dtype, per_column, per_pair),
            excluded_log_q=_prepared(name, "excluded_log_q", self.excluded_log_q, dtype, per_row, per_pair),
            log_n=_prepared(name, "log_n", log_n, dtype, (), per_row) if isinstance(log_n, Tensor) else log_n,
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
            log_n=cut(log_n, 1) if isinstance(log_n, Tensor) else log_n,
            positive_column=cut(self.positive_column, 1),
        )


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
        wanted = " or ".join(str(list(shape)) for shape in shapes)
        raise ValueError(f"loss {name!r}: {argument} has shape {list(value.shape)}, expected {wanted}")


def _check_boolean(name: str, mask: Tensor) -> None:
    if mask.dtype != torch.bool:
        raise ValueError(f"loss {name!r}: valid must be a bool tensor, got {mask.dtype}")
