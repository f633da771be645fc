"""Negatives that the data itself names: dislikes, things shown and skipped."""

from __future__ import annotations

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.samplers.user_items import UserItems
from recbole_logq.transfer import to_device


@samplers.register(
    "observed", summary="the user's own rows with a low value in a column, and uniform draws beside them"
)
class Observed(Sampler):
    """`count` columns per row: some of the user's observed negatives, and uniform draws from the catalogue.

    Per-row pools: every row has its own items, gathered as `[rows, count, d]`. For pointwise and pairwise losses; the
    law by which a user came to dislike something is unknown, so no correction fits. Observed negatives alone say
    nothing about items that a group of users never meets, and such groups *fold* onto each other; uniform draws keep
    them apart (`recbole-logq lab --folding`).

    When to use: for data with dislikes, or with items that were shown and skipped.

    Goes with: `bce` and `bpr`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> sampler = get_sampler("observed")(counts, count=2, seed=0, sampled=2)
        >>> sampler.sample(torch.tensor([1, 2]), users=torch.tensor([0, 0])).ids.shape
        torch.Size([2, 2])

    Args:
        sampled: Number of columns that are uniform draws. Default: half of them, rounded up.
        field: Column of the interactions that is judged; read by the data side.
        below: Rows with a value below it are negatives; read by the data side.

    Raises:
        ValueError: `count` is None, or an option is out of range.
    """

    name = "observed"
    kind = "observed"
    per_row = True
    reads = ("users",)
    from_batch = random_batches = False

    def __init__(
        self,
        counts: TargetCounts,
        *,
        count: int | None,
        seed: int,
        sampled: int | None = None,
        field: str = "label",
        below: float = 0.5,
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        if count is None:
            raise ValueError("sampler 'observed' needs a count: columns per row")
        if sampled is not None:
            self.check_whole(0, sampled=sampled)
        self.check_number(below=below)
        self.sampled = (count + 1) // 2 if sampled is None else sampled
        if not 0 <= self.sampled <= count:
            raise ValueError(f"sampler 'observed': sampled must be between 0 and count ({count}), got {sampled}")
        if not isinstance(field, str):
            raise ValueError(f"sampler 'observed': field must be the name of a column, got {field!r}")
        self.n_observed = count - self.sampled
        self.negatives = UserItems(torch.zeros(0, dtype=torch.int64), torch.zeros(0, dtype=torch.int64), 1)

    def observe(self, negatives: UserItems) -> None:
        """Set what was observed, before the first `sample`."""
        self.negatives = negatives

    def sample(self, positives: Tensor, *, n_units: int | None = None, users: Tensor | None = None) -> Pool:
        """As `Sampler.sample`.

        Raises:
            ValueError: The rows' users are not given.
        """
        if users is None:
            raise ValueError("sampler 'observed' needs the rows' users")
        uniform = torch.rand(len(positives), self.n_observed, generator=self.generator, dtype=torch.float64)
        drawn = torch.randint(1, self.n_items, (len(positives), self.sampled), generator=self.generator)
        ids = torch.cat(
            [self.negatives.draw(users, to_device(uniform, users.device)), to_device(drawn, users.device)], dim=1
        )
        return Pool(ids=ids, kind=self.kind, origin=torch.full_like(ids, -1))
