"""Negatives of a row's own impression: what was shown beside the positive and graded lower."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.graded_lists import GradedLists
from recbole_logq.samplers.in_batch import InBatch
from recbole_logq.samplers.mixed import Mixed
from recbole_logq.samplers.pool import Beside, Pool
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.samplers.uniform import Uniform
from recbole_logq.transfer import to_device

_SAMPLED: dict[str, type[Uniform | InBatch | Mixed]] = {"uniform": Uniform, "in_batch": InBatch, "mixed": Mixed}


@samplers.register(
    "impression", summary="lower-graded items of the row's own impression, and sampled negatives with a stated share"
)
class Impression(Sampler):
    """Two pools a step: `shown` columns a row from its own impression, and `count` sampled columns that all rows share.

    The loss of a row is `(1 - a) L(impression) + a L(sampled)` with `a = sampled_share`, both of the same form. With
    `bpr` the first part is the pairwise logistic loss over pairs `y1 > y2` of one impression (RankNet, Burges et al.,
    ICML 2005), with `bce` the pointwise one, with `corrected_logq` the softmax over what was shown.

    Of the impression all lower-graded items are columns, so their probability is 1; where it has more than `shown` of
    them, each is kept with probability `shown / size`, and log Q says so. The sampled part has its own Q. A row whose
    impression has nothing graded lower has the sampled part alone, with its weight a. Trained on impressions alone,
    groups that are never shown each other's items fold onto each other (`recbole-logq lab --folding`).

    When to use: for data that says what was shown and not taken, beside sampled negatives.

    Goes with: `bpr` and `bce`; `corrected_logq` with `beside=in_batch`.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import GradedLists, get_sampler
        >>> sampler = get_sampler("impression")(TargetCounts(torch.tensor([0, 5, 3, 1, 1])), count=2, seed=0, shown=3)
        >>> start, size, grade = torch.tensor([[0], [2], [1]])  # one list, of two items below grade 1
        >>> sampler.observe(GradedLists(start, size, grade.float(), torch.tensor([3, 4]), torch.zeros(2)))
        >>> sampler.sample(torch.tensor([1, 2]), shown=torch.tensor([0, 0])).ids
        tensor([[3, 4],
                [3, 4]])

    Args:
        shown: Most columns of a row from its own impression; there are no more than the longest has.
        sampled_share: Share of the loss that the sampled columns have, from 0 up and below 1.
        beside: Source of the sampled columns: "uniform", "in_batch" or "mixed", which draws half of each.
        grades: What grades are for: "order" (which items are negatives), or "target" (of `bce` too: an item's target
            is its grade over the highest of the training split, that of a sampled column 0).

    Raises:
        ValueError: `count` is None where something is sampled, or an option is out of range.
    """

    name = "impression"
    kind = "inclusion"
    per_row = True
    reads: ClassVar[tuple[str, ...]] = ("shown", "segment")

    def __init__(
        self,
        counts: TargetCounts,
        *,
        count: int | None,
        seed: int,
        shown: int = 16,
        sampled_share: float = 0.5,
        beside: Literal["uniform", "in_batch", "mixed"] = "uniform",
        grades: Literal["order", "target"] = "order",
    ) -> None:
        super().__init__(counts, count=count, seed=seed)
        self.check_whole(shown=shown)
        self.check_number(sampled_share=sampled_share)
        if not 0 <= sampled_share < 1:
            raise ValueError(
                f"sampler 'impression': sampled_share must be from 0 up and below 1, got {sampled_share}; for sampled "
                "negatives alone set their source"
            )
        if not isinstance(beside, str) or beside not in _SAMPLED:
            raise ValueError(f"sampler 'impression': beside must be one of {', '.join(_SAMPLED)}, got {beside!r}")
        if grades not in ("order", "target"):
            raise ValueError(f"sampler 'impression': grades must be order or target, got {grades!r}")
        if sampled_share and count is None:
            raise ValueError("sampler 'impression' needs a count: sampled columns, which all rows share")
        self.shown, self.sampled_share, self.gives_targets = shown, sampled_share, grades == "target"
        # Another stream than its own, which thins long impressions.
        self.sampled = _SAMPLED[beside](counts, count=count, seed=seed + 1) if sampled_share else None
        self.from_batch = self.sampled is not None and self.sampled.from_batch
        self.random_batches = False
        self.lists = GradedLists.empty()

    def observe(self, lists: GradedLists) -> None:
        """Set what impressions held, before the first `sample`."""
        self.lists = lists

    @property
    def asks_of_batch(self) -> int | None:
        """As `Sampler.asks_of_batch`, of the sampled columns."""
        return None if self.sampled is None else self.sampled.asks_of_batch

    def negatives_of_row(self, pool: Pool) -> int | Tensor:
        """As `Sampler.negatives_of_row`, of both pools together."""
        return super().negatives_of_row(pool) + (0 if pool.beside is None else len(pool.beside.pool.ids))

    def sample(
        self,
        positives: Tensor,
        *,
        n_units: int | None = None,
        shown: Tensor | None = None,
        segment: int | Tensor | None = None,
    ) -> Pool:
        """As `Sampler.sample`; `shown` is the number of each row's list, int64 `[rows]`.

        Raises:
            ValueError: The rows' lists are not given.
        """
        if shown is None:
            raise ValueError("sampler 'impression' needs the rows' impressions")
        uniform = torch.rand(len(positives), generator=self.generator, dtype=torch.float64)
        # No list is longer, and what would be beyond is padding.
        width = min(self.shown, self.lists.longest)
        ids, grades, log_share = self.lists.draw(shown, width, to_device(uniform, shown.device))
        target, positive_target = None, None
        if self.gives_targets:
            # A dislike, graded below 0, is no less wanted than a skip.
            target = grades.clamp_min(0) / self.lists.top
            positive_target = self.lists.grade[shown] / self.lists.top
        beside = None
        if self.sampled is not None:
            further = {"segment": segment} if "segment" in self.sampled.reads else {}
            drawn = self.sampled.sample(positives, n_units=n_units, **further)
            drawn.positive_target = positive_target
            beside = Beside(drawn, self.sampled_share)

        def law(items: Tensor) -> Tensor:
            return log_share.view(-1, *[1] * (items.dim() - 1)).expand(items.shape)

        return Pool(
            ids=ids,
            kind=self.kind,
            origin=torch.full_like(ids, -1),
            log_q=law(ids),
            law=law,
            beside=beside,
            target=target,
            positive_target=positive_target,
        )
