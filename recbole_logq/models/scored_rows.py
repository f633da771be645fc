"""Rows of a batch, and the parts of them that share a pool of negatives each; torch only."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from recbole_logq.models.rows import Rows
from recbole_logq.samplers import Exclusion, Pool


@dataclass(frozen=True)
class Scored:
    """What is scored of a batch: its rows, what their mask takes out, and what they are scored against for certain."""

    rows: Rows
    excluded: Exclusion | None
    own: Exclusion | None
    certain: Tensor | None

    def part(self, start: int, stop: int) -> Scored:
        """The rows from ``start`` to before ``stop``."""
        out, known = (None if s is None else s.seen_from(start, stop - start) for s in (self.excluded, self.own))
        exact = None if self.certain is None else self.certain[start:stop]
        return Scored(self.rows.part(start, stop), out, known, exact)


@dataclass(frozen=True)
class Part(Scored):
    """Rows that share a pool, with it."""

    pool: Pool

    def pools(self) -> list[Pool]:
        """The pool, and the one beside it."""
        return [self.pool] if self.pool.beside is None else [self.pool, self.pool.beside.pool]
