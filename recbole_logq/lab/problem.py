"""A synthetic world whose softmax is known, and a model of it at a chosen stage of training; torch only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch

from recbole_logq.lab.subject import Batch, Subject
from recbole_logq.probability import TargetCounts

STAGES = {"early": (0.1, 0.0), "mid": (0.8, 0.1), "converged": (1.0, 1.0)}
"""How much of taste and of popularity the model's scores have."""
_AFFINITY = 3.0
_USERS = 512
_D = 16


@dataclass(frozen=True)
class World:
    """A synthetic world of users and items whose true choices are known.

    True logits are ``-zipf log rank + 3 x.y / sqrt(d)`` with normal x and y of d = 16 dimensions: popularity and
    taste. The model knows a tenth of the taste and nothing of the popularity early on, most of the taste and little of
    the popularity in the middle, and both when it has converged; noise of 0.1 on top.

    Args:
        items: Size of the catalogue.
        zipf: Exponent of popularity; 0 makes all items alike.
        stage: ``early``, ``mid`` or ``converged``.
        seed: Seed of all random numbers.

    Raises:
        ValueError: An argument is out of range.
    """

    items: int = 1000
    zipf: float = 1.0
    stage: str = "mid"
    seed: int = 0

    def __post_init__(self) -> None:
        if self.items < 10 or not 0 <= self.zipf < 10:
            raise ValueError(f"items={self.items}, zipf={self.zipf}: at least 10 items, and an exponent from 0 up")
        if self.stage not in STAGES:
            raise ValueError(f"stage={self.stage!r}: one of {', '.join(STAGES)}")

    def subject(self, rows: int) -> Subject:
        """Users of this world with a positive each, what the model thinks of them, and batches of others.

        Args:
            rows: Number of rows.
        """
        generator = torch.Generator().manual_seed(self.seed)
        rank = torch.arange(1, self.items + 1, dtype=torch.float64)
        tastes = torch.randn(_USERS, _D, generator=generator, dtype=torch.float64)
        kinds = torch.randn(self.items, _D, generator=generator, dtype=torch.float64)
        popularity, taste = -self.zipf * rank.log(), _AFFINITY / _D**0.5 * tastes @ kinds.T
        law = (popularity + taste).softmax(dim=1)
        of_taste, of_popularity = STAGES[self.stage]
        known = of_taste * taste + of_popularity * popularity
        known += 0.1 * torch.randn(known.shape, generator=generator, dtype=torch.float64)
        users = torch.arange(rows) % _USERS
        positives = 1 + torch.multinomial(law[users], 1, generator=generator).squeeze(1)
        frequency = torch.cat([torch.zeros(1, dtype=torch.float64), law.mean(dim=0)])
        counts = TargetCounts((frequency * 1e12).round().long())

        def batches(size: int) -> Iterator[Batch]:
            stream = torch.Generator().manual_seed(self.seed + 1)
            # Far more than a pool takes, as in training.
            while True:
                drawn = torch.multinomial(frequency, max(2 * size, 512), replacement=True, generator=stream)
                yield Batch(positives=drawn, n_units=len(drawn))

        def others() -> Iterator[Subject]:
            stream = torch.Generator().manual_seed(self.seed + 2)
            while True:
                chosen = torch.randint(_USERS, (rows,), generator=stream)
                drawn = 1 + torch.multinomial(law[chosen], 1, generator=stream).squeeze(1)
                yield Subject(name="others", scores=known[chosen], positives=drawn, counts=counts, batches=batches)

        name = f"synthetic: {self.items} items, Zipf {self.zipf:g}, {self.stage}"
        return Subject(
            name=name, scores=known[users], positives=positives, counts=counts, batches=batches, others=others
        )
