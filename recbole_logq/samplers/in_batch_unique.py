"""In-batch negatives without duplicates."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, ClassVar

import torch
from torch import Tensor

from recbole_logq.probability import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers.distinct import distinct, drawn_of
from recbole_logq.samplers.pool import Pool
from recbole_logq.samplers.sampler import Sampler
from recbole_logq.transfer import to_device


@samplers.register("in_batch_unique", summary="distinct items of the batch; Q = probability that the batch holds them")
class InBatchUnique(Sampler):
    """The distinct positives of the batch, at most `count` of them, each with its inclusion probability.

    `pi_d = 1 - C(N - U_d, units) / C(N, units)`: an epoch has N units (interactions, windows), U_d of them hold the
    item, and those of a batch are drawn without replacement. Given a row, its own unit is there for certain: the others
    come from N - 1, of which U_d - 1 hold an item that the own unit holds too. (Windows are cut anew every epoch; N and
    U are averages over cuts then.) On a batch that covers much of the catalogue pi is nearly flat: weighting by
    frequencies would overcorrect. If only m of the S distinct ids are kept, at random, pi is multiplied by m / S. As a
    positive, an item without training targets has -inf.

    When to use: for batches that hold many items several times, where duplicates would waste columns.

    Goes with: `corrected_logq`, in its Horvitz-Thompson form; batches must be random.

    Example:
        >>> from recbole_logq.probability import TargetCounts
        >>> from recbole_logq.samplers import get_sampler
        >>> counts = TargetCounts(torch.tensor([0, 5, 3, 1, 1]))  # item 0 is padding
        >>> pool = get_sampler("in_batch_unique")(counts, count=None, seed=0).sample(torch.tensor([1, 2, 1, 3]))
        >>> pool.ids, pool.log_q.exp()
        (tensor([1, 2, 3]), tensor([0.9762, 0.8333, 0.4000]))
    """

    name = "in_batch_unique"
    kind = "inclusion"
    reads: ClassVar[tuple[str, ...]] = ("given_row",)

    def __init__(self, counts: TargetCounts, *, count: int | None, seed: int) -> None:
        super().__init__(counts, count=count, seed=seed)

        def table(units: int, given_row: bool, held: bool, device: torch.device) -> Tensor:
            return to_device(counts.log_inclusion(units, given_row=given_row, held=held), device)

        self._table = lru_cache(maxsize=6)(table)  # batches have one size, but for an epoch's last

    def sample(self, positives: Tensor, *, n_units: int | None = None, given_row: bool = False) -> Pool:
        """As `Sampler.sample`; with `given_row`, `n_units` are the units beside the one of a row.

        Raises:
            ValueError: `n_units` is smaller than 1, or a row's positive is in no unit according to the counts.
        """
        items = distinct(positives)
        ids, log_kept = drawn_of(items, self.count, self.generator)
        units = len(positives) if n_units is None else n_units

        def law(item_ids: Tensor) -> Tensor:
            return self._table(units, given_row, False, item_ids.device)[item_ids] + log_kept

        def held_law(item_ids: Tensor) -> Tensor:
            return self._table(units, True, True, item_ids.device)[item_ids] + log_kept

        log_q = law(ids)
        if items.padded:
            log_q = log_q.masked_fill(ids == 0, 0.0)
        elif bool(torch.isneginf(log_q).any()):  # an accelerator would have to be waited for
            item = int(ids[torch.isneginf(log_q)][0])
            raise ValueError(f"sampler 'in_batch_unique' holds item {item}, which is in no unit: counts do not fit")
        # An id may be the positive of several rows, so no row is the origin; the mask finds the own column by id.
        origin = torch.full_like(ids, -1)
        return Pool(
            ids=ids,
            kind=self.kind,
            origin=origin,
            log_q=log_q,
            law=law,
            from_batch=True,
            held_law=held_law if given_row else None,
            padded=items.padded,
        )

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *arguments: Any) -> None:
        state_dict.pop(f"{prefix}log_unit_frequency", None)  # in checkpoints of before it was worked out from counts
        super()._load_from_state_dict(state_dict, prefix, *arguments)
