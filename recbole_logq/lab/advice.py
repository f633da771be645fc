"""What to train with: negatives and batches compared by the gradient that they give for the memory and the time."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.measure import depends_on_row, measure
from recbole_logq.lab.step_cost import peak_megabytes, rows_of_step, seconds_of_step, take_on
from recbole_logq.lab.subject import Subject

RECIPES = ("CorrectedLogQ", "MNSCorrectedLogQ", "Systematic")
COUNTS = (64, 256, 1024)
FULL = "FullSoftmax"
EPOCHS_TO_LEARN = 10.0
"""Epochs of exact gradients, in batches of the default size, after which two thirds of what there is to learn is
learned."""
SHARED = 100.0
"""How often the square of a row's spread counts in the gradient of a batch, whose rows share a pool; of 1, 10, 30, 100
and 300 the one that ordered runs on ml-100k best (`benchmarks/advice.py`)."""


@dataclass(frozen=True)
class Advice:
    """One way to train.

    Args:
        recipe: Recipe, or its loss and source.
        own: Own items that are scored exactly, or None.
        n: Negatives of a row; all other items for the full softmax.
        batch: Windows or interactions of a batch.
        bias: Expected relative bias of the gradient, for rows in the batch.
        spread: Expected spread of it from pool to pool.
        step_ms: Milliseconds of a step.
        memory_mb: Estimated peak memory.
        epochs: Epochs that fit into the time.
        score: What of the possible progress is expected, within [0, 1].
    """

    recipe: str
    own: str | None
    n: int
    batch: int
    bias: float
    spread: float
    step_ms: float
    memory_mb: float
    epochs: float
    score: float

    @property
    def settings(self) -> dict[str, Any]:
        """The settings of training that it stands for."""
        settings: dict[str, Any] = {"train_batch_size": self.batch}
        if self.recipe != FULL:
            settings["negatives.count"] = self.n
            settings["negatives.own"] = self.own or "none"
        return settings


def score_of(bias: float, spread: float, progress: float) -> float:
    """Expected progress: ``(1 - b^2) (1 - exp(-m / (10 (1 + b^2 + 100 s^2))))``.

    m counts the steps that fit, in epochs of batches of the default size: at one learning rate a step goes about as far
    whatever its batch.

    A gradient that is the exact one plus a bias b and a noise t, both relative to it and at right angles to it, has
    ``1 / (1 + b^2 + t^2)`` of its square in the right direction: what slows training down. The spread s is that of one
    row's gradient; the rows of a batch share their pool, and with it the noise, which does not average over them:
    `SHARED`. The first factor is what more training does not mend. All are rules of thumb; `benchmarks/advice.py` holds
    them against real runs.
    """
    efficiency = 1 / (1 + bias**2 + SHARED * spread**2)
    return max(1 - bias**2, 0.0) * (1 - math.exp(-efficiency * progress / EPOCHS_TO_LEARN))


def balanced(memory_mb: float, rows_per_unit: float, n_items: int) -> tuple[int, int]:
    """Batch and negatives for a memory: as many rows as negatives (arXiv 2608.11061).

    Args:
        memory_mb: Memory for the scores and what is kept of them.
        rows_per_unit: Training targets of a window or an interaction.
        n_items: Items of the catalogue.

    Returns:
        Windows or interactions of a batch, and negatives.
    """
    side = math.isqrt(max(int(memory_mb * 1e6 / (4 * 2.25)), 4))
    n = min(side, n_items - 1)
    return max(round(side / rows_per_unit), 1), max(n, 2)


def compare(
    restored: Any, subject: Subject, memory_mb: float, minutes: float, pools: int = 32, progress: Any = None
) -> tuple[list[Advice], list[str]]:
    """All candidates that fit into the memory, the best first, and what was left out; ties go to the cheaper step.

    Args:
        restored: Data, loaders and a network of the model's shape.
        subject: Rows of these data.
        memory_mb: Memory of a step.
        minutes: Time of the training.
        pools: Pools that bias and spread are measured with.
        progress: What to wrap the candidates in, such as a bar.
    """
    network, loader = restored.network, restored.loaders[0]
    batch, n_items = loader.batch_size, network.n_items - 1
    per_unit = rows_of_step(loader) / min(batch, loader.n_rows)
    steps_of_epoch = max(len(loader), 1)
    sides = balanced(memory_mb / 4, per_unit, n_items)
    own_choices = (None, "window") if subject.windows is not None else (None,)
    shapes = dict.fromkeys([(n, batch) for n in COUNTS] + [(sides[1], min(sides[0], loader.n_rows))])
    candidates = [(recipe, own, n, size) for recipe in RECIPES for own in own_choices for n, size in shapes]
    candidates.append((FULL, None, n_items, batch))
    advice: list[Advice] = []
    left_out: list[str] = []
    for recipe, own, n, size in candidates if progress is None else progress(candidates):
        name = f"{recipe}{f':own={own}' if own else ''}"
        label = f"{name}, {n:,} negatives, batches of {size:,}"
        if recipe != FULL and n >= n_items:
            left_out.append(f"{label}: there are {n_items:,} items; the full softmax has them all")
            continue
        estimator = None if recipe == FULL else Estimator.parse(name)
        take_on(network, loader, subject.counts, estimator, n, size)
        peak_mb = peak_megabytes(network, loader, n)
        if peak_mb > memory_mb:
            left_out.append(f"{label}: needs about {peak_mb:,.0f} MB, and there are {memory_mb:,.0f}")
            continue
        if estimator is None:
            bias = spread = 0.0
        else:
            inside = subject.inside is not None and depends_on_row(estimator, subject)
            measured = measure(estimator, subject, n, pools, inside=inside)
            bias, spread = measured.bias, measured.spread
        seconds = seconds_of_step(network, loader)
        steps = 60 * minutes / seconds
        epochs = steps / max(len(loader), 1)
        score = score_of(bias, spread, steps / steps_of_epoch)
        advice.append(Advice(recipe, own, n, size, bias, spread, 1000 * seconds, peak_mb, epochs, score))
    loader.batch_size = batch
    return sorted(advice, key=lambda entry: (-round(entry.score, 2), entry.step_ms)), left_out


def as_records(advice: list[Advice]) -> list[dict[str, Any]]:
    """Entries of a report, with the settings of each."""
    return [{**asdict(entry), "settings": entry.settings} for entry in advice]
