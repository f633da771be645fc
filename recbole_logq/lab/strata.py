"""Where a model's gradient lies: each row's catalogue in parts, and what of the softmax is in each; torch only."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_logq.lab.subject import Subject
from recbole_logq.samplers import Exclusion, exclusion_of

HEAD_SHARE = 0.01
"""Share of the catalogue, by training targets, that is its head."""
TOP = 16


def own_columns(own: Exclusion, positives: Tensor, items: int) -> Tensor:
    """Which items are a row's own, its positive not among them, bool ``[rows, items]``."""
    columns = own.columns(torch.arange(1, items + 1))[own.row_set]
    return columns.scatter(1, positives.unsqueeze(1) - 1, False)


def head_items(subject: Subject) -> Tensor:
    """Columns of the most popular 1 % of the items, int64."""
    n = max(round(HEAD_SHARE * subject.scores.shape[1]), 1)
    return subject.counts.counts[1:].argsort(descending=True)[:n]


def strata(subject: Subject) -> dict[str, Tensor]:
    """Parts of the catalogue by name, bool ``[rows, items]`` each; no item is in two, a row's positive is in none.

    ``window``: other items of the row's own window. ``history``: other training items of its user. ``top 16``: those
    that the model gives the most, of what is left; ``head`` of what is left then, and ``tail``.
    """
    scores, positives = subject.scores, subject.positives
    remaining = torch.ones_like(scores, dtype=torch.bool).scatter_(1, positives.unsqueeze(1) - 1, False)
    parts: dict[str, Tensor] = {}

    def take(name: str, columns: Tensor) -> None:
        nonlocal remaining
        parts[name] = columns & remaining
        remaining = remaining & ~columns

    if subject.windows is not None:
        take("window", own_columns(subject.windows, positives, scores.shape[1]))
    if subject.users is not None and subject.history is not None:
        known = exclusion_of("history", positives, subject.users, subject.history)
        assert known is not None
        take("history", own_columns(known, positives, scores.shape[1]))
    best = scores.masked_fill(~remaining, -torch.inf).topk(min(TOP, scores.shape[1]), dim=1).indices
    take(f"top {TOP}", torch.zeros_like(remaining).scatter_(1, best, True))
    take("head", torch.zeros(scores.shape[1], dtype=torch.bool).index_fill_(0, head_items(subject), True))
    return parts | {"tail": remaining}


def where_it_lies(parts: dict[str, Tensor], full: Tensor) -> list[dict[str, Any]]:
    """Each part's share of the negative gradient.

    Args:
        parts: What `strata` gave.
        full: Gradient of the full softmax, ``[rows, items]``.

    Returns:
        A record of each part: ``name``, ``items`` (of a row, on average), ``mass`` (its share of the softmax mass on
        negatives) and ``squared`` (its share of the squared negative gradient).
    """
    whole = torch.stack(list(parts.values())).any(dim=0)
    mass, squared = (float((value * whole).sum()) for value in (full, full.square()))
    return [
        {
            "name": name,
            "items": float(part.sum(dim=1).double().mean()),
            "mass": float((full * part).sum()) / mass,
            "squared": float((full.square() * part).sum()) / squared,
        }
        for name, part in parts.items()
    ]


def what_is_seen(parts: dict[str, Tensor], full: Tensor, mean: Tensor, noise: Tensor) -> list[dict[str, Any]]:
    """What of each part's gradient an estimator has on average, and how much of its bias lies there.

    Args:
        parts: What `strata` gave.
        full: Gradient of the full softmax, ``[rows, items]``.
        mean: Mean gradient of the estimator, the same.
        noise: Variance of that mean, the same.

    Returns:
        A record of each part: ``name``, ``seen`` (mass of the mean gradient relative to the full softmax's; None where
        that has none) and ``squared_bias`` (without the noise of the mean, relative to the full gradient's square).
    """
    excess, norm = (mean - full).square() - noise, full.square().sum()
    seen = []
    for name, part in parts.items():
        ideal = float((full * part).sum())
        ratio = float((mean * part).sum()) / ideal if ideal > 0 else None
        seen.append({"name": name, "seen": ratio, "squared_bias": float((excess * part).sum() / norm)})
    return seen
