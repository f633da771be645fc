"""A model that is not trained yet, guessed from the data alone: what the laboratory examines before there is one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_logq.lab.checkpoint_subject import subject_of
from recbole_logq.lab.subject import Subject
from recbole_logq.lab.units import Units

OWN, NEXT = 0.4, 0.3
"""Share of the guessed softmax on a row's own other items, as trained sequence models were measured to have
(docs/softmax.md); and share of what is left on items that have followed the items before the target."""
BEFORE = 3


def stand_in(restored: Any, rows: int, seed: int = 0) -> Subject:
    """Training rows with a softmax guessed from the data.

    A part lies on the other items of the row's window, by one over their distance from the target, a part on what
    followed its latest items in anyone's sequence, and the rest on all items by their number of targets (one more, so
    that none is left out). A part that a row has no items for goes to the rest; without windows that is all.

    Args:
        restored: Data, loaders and a network of the model's shape, trained or not.
        rows: Number of rows.
        seed: Seed of the choice, the windows and the batches.
    """

    def guessed(_: Tensor, chosen: Tensor, units: Units, subject: Subject) -> Tensor:
        n_items = subject.counts.n_items - 1
        popularity = (subject.counts.counts[1:] + 1).double()
        law = (popularity / popularity.sum()).repeat(len(chosen), 1)  # [rows, items]
        parts = []
        if subject.windows is not None:
            parts = [
                (NEXT, _followers(restored.parts[0], units, chosen, n_items)),
                (OWN, _neighbours(units, chosen, n_items)),
            ]
        for share, weight in parts:
            total = weight.sum(dim=1, keepdim=True)
            law = torch.where(total > 0, (1 - share) * law + share * weight / total.clamp_min(1e-300), law)
        return law.log()

    return subject_of(restored, rows, seed, guessed, f"guessed from {restored.config['dataset']}")


def _neighbours(units: Units, chosen: Tensor, n_items: int) -> Tensor:
    """One over the distance of each row's target from the other items of its window, ``[rows, items]``."""
    weight = torch.zeros(len(chosen), n_items, dtype=torch.float64)
    unit = units.unit_of[chosen]
    for row, (at, first, size) in enumerate(zip(chosen, units.first[unit], units.sizes[unit], strict=True)):
        place = torch.arange(int(first), int(first + size))
        near = 1 / (place - at).abs().clamp_min(1).double()
        weight[row].index_add_(0, units.targets[place] - 1, near)
    return weight.scatter(1, units.targets[chosen].unsqueeze(1) - 1, 0.0)


def _followers(dataset: Any, units: Units, chosen: Tensor, n_items: int) -> Tensor:
    """How often each item is the target after one of the items right before each row's target, ``[rows, items]``."""
    targets = dataset.windows.is_target.nonzero().flatten()
    before, after = dataset.flat_items[targets - 1], dataset.flat_items[targets]
    order = before.argsort(stable=True)
    starts = torch.searchsorted(before[order], torch.arange(n_items + 2))
    weight = torch.zeros(len(chosen), n_items, dtype=torch.float64)
    assert units.places is not None
    for row, at in enumerate(units.places[chosen].tolist()):
        user = dataset.flat_users[at]
        for step in range(1, BEFORE + 1):
            if at - step < 0 or dataset.flat_users[at - step] != user:
                break
            item = int(dataset.flat_items[at - step])
            followed = after[order[starts[item] : starts[item + 1]]]
            weight[row].index_add_(0, followed - 1, torch.full_like(followed, 1 / step, dtype=torch.float64))
    return weight
