"""Folding: groups of users who never meet, and what negatives of one's own group do to the other; torch only.

Two languages: users take and refuse things in their own and never see the other's. Trained on what users refused alone,
nothing ever says that a user of one language does not want the other's items, and the two groups come to lie on top of
each other. Negatives from the whole catalogue tell them apart.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from recbole_logq.losses import get_loss
from recbole_logq.losses.scores import pool_scores

TOP = 10


@dataclass(frozen=True)
class Folding:
    """What came of one choice of negatives.

    Args:
        negatives: Kind of negatives.
        foreign: Share of the other language's items among the best ten of all items, on average over users; 0.5 by
            chance.
        own_hits: Share of users whose best ten hold an item they would take, held out from training.
    """

    negatives: str
    foreign: float
    own_hits: float


def fold(negatives: str, *, users: int = 200, items: int = 200, steps: int = 600, seed: int = 0) -> Folding:
    """Train a matrix factorisation on the toy.

    Args:
        negatives: ``own`` (only what the user refused), ``global`` (uniform over the catalogue), or ``mixed``.
        users, items: Numbers of users and items in both languages together.
        steps: Training steps, each on the whole data.
        seed: Seed of data, initial weights and draws.

    Raises:
        ValueError: Unknown negatives.
    """
    if negatives not in ("own", "global", "mixed"):
        raise ValueError(f"negatives={negatives!r}: own, global or mixed")
    generator = torch.Generator().manual_seed(seed)
    user_language, item_language = torch.arange(users) % 2, torch.arange(items) % 2
    tastes, kinds = torch.randn(users, 4, generator=generator), torch.randn(items, 4, generator=generator)
    likes = tastes @ kinds.T
    foreign = user_language.unsqueeze(1) != item_language
    # Of the own language: the upper half is taken, the lower refused; a tenth of what is taken is held out.
    order = likes.masked_fill(foreign, -torch.inf).argsort(dim=1, descending=True)
    own = items // 2
    taken, refused = order[:, : own // 2], order[:, own // 2 : own]
    taken = taken.gather(1, torch.rand(taken.shape, generator=generator).argsort(dim=1))
    held_out, train = taken[:, : max(own // 20, 1)], taken[:, max(own // 20, 1) :]

    user_table, item_table = nn.Embedding(users, 8), nn.Embedding(items, 8)
    for table in (user_table, item_table):
        nn.init.normal_(table.weight, std=0.1, generator=generator)
    optimizer = torch.optim.Adam([*user_table.parameters(), *item_table.parameters()], lr=0.02, weight_decay=1e-4)
    loss = get_loss("bce")
    rows = torch.arange(users).repeat_interleave(train.shape[1])
    for _ in range(steps):
        pool = _draw(negatives, rows, refused, items, generator)
        query, positive = user_table(rows), item_table(train.flatten())
        scores = pool_scores(query.unsqueeze(1), item_table(pool)).squeeze(1)
        optimizer.zero_grad()
        loss((query * positive).sum(dim=1), scores).mean().backward()
        optimizer.step()
    with torch.no_grad():
        scores = (user_table.weight @ item_table.weight.T).scatter(1, train, -torch.inf)
        best = scores.topk(TOP, dim=1).indices
    hit = (best.unsqueeze(2) == held_out.unsqueeze(1)).any(dim=2).any(dim=1)
    return Folding(negatives, float(foreign.gather(1, best).float().mean()), float(hit.float().mean()))


def _draw(negatives: str, rows: Tensor, refused: Tensor, items: int, generator: torch.Generator) -> Tensor:
    """Four items a row: of those that the user refused, of all, or two of each; int64 ``[rows, 4]``."""
    place = torch.randint(refused.shape[1], (len(rows), 4), generator=generator)
    own = refused[rows].gather(1, place)
    everywhere = torch.randint(items, (len(rows), 4), generator=generator)
    if negatives == "own":
        return own
    return everywhere if negatives == "global" else torch.cat([own[:, :2], everywhere[:, :2]], dim=1)
