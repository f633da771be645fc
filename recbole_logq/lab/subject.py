"""What the laboratory looks at: rows with their scores of the whole catalogue, and a source of batches; torch only."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import Exclusion, Sampler, UserItems


@dataclass(frozen=True)
class Batch:
    """The positives that a sampler sees in one step.

    Args:
        positives: int64 ``[rows]``.
        n_units: Number of independent units that they come from.
        users: int64 ``[rows]``, the user of each; None where nobody has a name.
        windows: int64 ``[rows]``, the window that each comes from, from 0 up; None where every row is a unit by itself.
        place: Index of the row under examination; None where the batch holds none.
    """

    positives: Tensor
    n_units: int
    users: Tensor | None = None
    windows: Tensor | None = None
    place: int | None = None


@dataclass(frozen=True)
class Subject:
    """A model under examination.

    Args:
        name: Short description, for headings.
        scores: ``[rows, items]``, column j is item j + 1; float64.
        positives: int64 ``[rows]``, ids.
        counts: Training targets.
        batches: Endless batches that do not hold the rows under examination; called with the number of negatives.
        users: int64 ``[rows]``; None where nobody has a history.
        history: Training items by user.
        inside: Endless steps, each with a batch for every row that holds that row; None where a row has no batch.
        windows: The items of the window that each row comes from, or of the history that it was made of, its positive
            among them; None for rows that have neither.
        others: Endless parts of other training rows of the same model, for a source that learns from it; None where
            there are none.
        sampler: The model's own source of negatives, whose learning is taken over; None where there is none.
        facts: Further lines for the heading.
    """

    name: str
    scores: Tensor
    positives: Tensor
    counts: TargetCounts
    batches: Callable[[int], Iterator[Batch]]
    users: Tensor | None = None
    history: UserItems | None = None
    inside: Callable[[], Iterator[list[Batch]]] | None = None
    windows: Exclusion | None = None
    others: Callable[[], Iterator[Subject]] | None = None
    sampler: Sampler | None = None
    facts: dict[str, str] = field(default_factory=dict)

    @property
    def p_positive(self) -> float:
        """Mean probability that the model gives the positives."""
        log_p = self.scores.log_softmax(dim=1)
        return float(log_p.gather(1, self.positives.unsqueeze(1) - 1).exp().mean())
