"""Folding: groups of users who never meet, and what negatives of one's own group do to the other; torch only.

Two languages: users take and refuse things in their own and never see the other's. Trained on what users refused alone,
nothing ever says that a user of one language does not want the other's items, and the two groups come to lie on top of
each other. Negatives from the whole catalogue tell them apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from recbole_logq.losses import get_loss
from recbole_logq.losses.scores import pool_scores
from recbole_logq.models.step import losses_from_vectors
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import GradedLists, Impression, Pool

TOP = 10
SHARES = (0.01, 0.1, 0.3, 0.5, 0.7, 0.9)
"""Shares of the loss that sampled negatives have beside those of impressions."""
ENDED = 0.05
"""Share of foreign items among the best below which folding has ended, a tenth of what chance gives."""
_SHOWN, _SAMPLED, _BATCH = 8, 64, 256
Beside = Literal["uniform", "in_batch"]
StepLoss = Callable[[Tensor, Tensor, nn.Embedding], Tensor]
"""Loss of a batch: numbers of pairs int64 ``[rows]``, queries ``[rows, d]`` and the items' table."""


@dataclass(frozen=True)
class Folding:
    """What came of one choice of negatives.

    Args:
        negatives: Kind of negatives.
        foreign: Share of the other language's items among the best ten of all items, on average over users; 0.5 by
            chance.
        own_hits: Share of users whose best ten hold an item they would take, held out from training.
        share: Share of the loss that sampled negatives have; None where negatives are one list.
    """

    negatives: str
    foreign: float
    own_hits: float
    share: float | None = None


class _World(NamedTuple):
    """The toy.

    Attributes:
        foreign: bool ``[users, items]``, pairs of two languages.
        train: int64 ``[users, n]``, what each user took.
        held_out: int64 ``[users, m]``, what it would take.
        refused: int64 ``[users, n]``.
        generator: Source of further random numbers.
    """

    foreign: Tensor
    train: Tensor
    held_out: Tensor
    refused: Tensor
    generator: torch.Generator


def fold(negatives: str, *, users: int = 200, items: int = 200, steps: int = 600, seed: int = 0) -> Folding:
    """Train a matrix factorisation on the toy, under binary cross entropy with four negatives a row.

    Args:
        negatives: ``own`` (only what the user refused), ``global`` (uniform over the catalogue), or ``mixed``.
        users, items: Numbers of users and items in both languages together.
        steps: Training steps.
        seed: Seed of data, initial weights and draws.

    Raises:
        ValueError: Unknown negatives.
    """
    if negatives not in ("own", "global", "mixed"):
        raise ValueError(f"negatives={negatives!r}: own, global or mixed")
    world, loss = _world(users, items, seed), get_loss("bce")

    def step_loss(pairs: Tensor, query: Tensor, table: nn.Embedding) -> Tensor:
        pool = _draw(negatives, pairs // world.train.shape[1], world.refused, items, world.generator)
        scores = pool_scores(query.unsqueeze(1), table(pool)).squeeze(1)
        return loss((query * table(world.train.flatten()[pairs])).sum(dim=1), scores).mean()

    return Folding(negatives, *_trained(world, steps, step_loss))


def fold_impressions(
    beside: Beside, share: float, *, users: int = 200, items: int = 200, steps: int = 600, seed: int = 0
) -> Folding:
    """The same with ``negatives.source=impression``, under the pairwise logistic loss.

    An impression has what a user took and eight of the things that it refused, all of its own language.

    Args:
        beside: Source of the sampled negatives: ``uniform``, or ``in_batch``.
        share: Their share of the loss, from 0 up and below 1.
        users, items, steps, seed: As in :func:`fold`.
    """
    world, loss = _world(users, items, seed), get_loss("bpr")
    # Item 0 is padding for a sampler, so its items count from 1.
    positives, _n = world.train.flatten() + 1, world.train.numel()
    counts = TargetCounts(torch.bincount(positives, minlength=items + 1))
    count = _SAMPLED if share else None
    sampler = Impression(counts, count=count, seed=seed, shown=_SHOWN, sampled_share=share, beside=beside)
    sampler.observe(_impressions(world))

    def step_loss(pairs: Tensor, query: Tensor, table: nn.Embedding) -> Tensor:
        def of_pool(pool: Pool) -> Tensor:
            terms = pool.terms(positives[pairs], hits="masked")
            assert callable(terms.valid)
            terms = replace(terms, valid=terms.valid(0, len(pairs)))
            positive_vectors, pool_vectors = table(positives[pairs] - 1), table(pool.ids - 1)
            return losses_from_vectors(loss, sampler, pool, query, positive_vectors, pool_vectors, terms)

        pool = sampler.sample(positives[pairs], shown=pairs)
        if pool.beside is None:
            return of_pool(pool).mean()
        return ((1 - share) * of_pool(pool) + share * of_pool(pool.beside.pool)).mean()

    name = f"impression, {beside}" if share else "impression"
    return Folding(name, *_trained(world, steps, step_loss), share)


def end_of_folding(outcomes: Sequence[Folding]) -> float | None:
    """Least share of sampled negatives from which on no more than :data:`ENDED` of the best items are foreign.

    Args:
        outcomes: Outcomes of one kind of sampled negatives.
    """
    ended = None
    for outcome in sorted(outcomes, key=lambda outcome: outcome.share or 0.0, reverse=True):
        if outcome.foreign > ENDED:
            break
        ended = outcome.share
    return ended


def _world(users: int, items: int, seed: int) -> _World:
    generator = torch.Generator().manual_seed(seed)
    user_language, item_language = torch.arange(users) % 2, torch.arange(items) % 2
    tastes, kinds = torch.randn(users, 4, generator=generator), torch.randn(items, 4, generator=generator)
    likes = tastes @ kinds.T
    foreign = user_language.unsqueeze(1) != item_language
    # Of the own language: the upper half is taken, the lower refused; a tenth of what is taken is held out.
    order = likes.masked_fill(foreign, -torch.inf).argsort(dim=1, descending=True)
    own = items // 2
    clicked, refused = order[:, : own // 2], order[:, own // 2 : own]
    clicked = clicked.gather(1, torch.rand(clicked.shape, generator=generator).argsort(dim=1))
    held_out, train = clicked[:, : max(own // 20, 1)], clicked[:, max(own // 20, 1) :]
    return _World(foreign, train, held_out, refused, generator)


def _impressions(world: _World) -> GradedLists:
    """A list for each pair of user and taken item: some of what the user refused."""
    n, per_user = world.train.numel(), world.train.shape[1]
    refused = world.refused.repeat_interleave(per_user, dim=0)  # [n, refused]
    place = torch.rand(refused.shape, generator=world.generator).argsort(dim=1)[:, :_SHOWN]
    shown = refused.gather(1, place) + 1
    width = shown.shape[1]
    start, size = torch.arange(n) * width, torch.full((n,), width)
    return GradedLists(start, size, torch.ones(n), shown.flatten(), torch.zeros(n * width))


def _trained(world: _World, steps: int, step_loss: StepLoss) -> tuple[float, float]:
    """Share of foreign items among the best, and of users with a hit, after training."""
    (users, items), generator = world.foreign.shape, world.generator
    user_table, item_table = nn.Embedding(users, 8), nn.Embedding(items, 8)
    for table in (user_table, item_table):
        nn.init.normal_(table.weight, std=0.1, generator=generator)
    optimizer = torch.optim.Adam([*user_table.parameters(), *item_table.parameters()], lr=0.02, weight_decay=1e-4)
    for _ in range(steps):
        pairs = torch.randint(world.train.numel(), (_BATCH,), generator=generator)
        optimizer.zero_grad()
        step_loss(pairs, user_table(pairs // world.train.shape[1]), item_table).backward()
        optimizer.step()
    with torch.no_grad():
        scores = (user_table.weight @ item_table.weight.T).scatter(1, world.train, -torch.inf)
        best = scores.topk(TOP, dim=1).indices
    hit = (best.unsqueeze(2) == world.held_out.unsqueeze(1)).any(dim=2).any(dim=1)
    return float(world.foreign.gather(1, best).float().mean()), float(hit.float().mean())


def _draw(negatives: str, rows: Tensor, refused: Tensor, items: int, generator: torch.Generator) -> Tensor:
    """Four items a row: of those that the user refused, of all, or two of each; int64 ``[rows, 4]``."""
    place = torch.randint(refused.shape[1], (len(rows), 4), generator=generator)
    own = refused[rows].gather(1, place)
    everywhere = torch.randint(items, (len(rows), 4), generator=generator)
    if negatives == "own":
        return own
    return everywhere if negatives == "global" else torch.cat([own[:, :2], everywhere[:, :2]], dim=1)
