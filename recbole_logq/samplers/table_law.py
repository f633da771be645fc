"""A law of single draws that is a table of all items."""

from __future__ import annotations

from functools import cached_property

from torch import Tensor

from recbole_logq.probability.log1mexp import log1mexp


class TableLaw:
    """Log-probabilities of items by look-up, and those of all that an item leaves.

    Args:
        log_q: float32 `[n_items]`, log-probability of each item in one draw.
    """

    def __init__(self, log_q: Tensor) -> None:
        self.log_q = log_q

    def __call__(self, ids: Tensor) -> Tensor:
        """log Q of ids, of their shape."""
        return self.log_q[ids]

    @cached_property
    def _log_rest(self) -> Tensor:
        return log1mexp(self.log_q)

    def rest(self, ids: Tensor) -> Tensor:
        """log(1 - Q) of ids, of their shape: worked out once for all items, where it takes nine passes over rows."""
        return self._log_rest[ids]
