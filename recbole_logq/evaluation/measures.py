"""What a ranking of the test part says beside RecBole's metrics; torch only.

All are about the first k items of each row. Where a row has fewer than k items to rank, the padding item 0 fills its
list up, which is never a hit and does not count as recommended.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

DECILES = 10


def measures(
    items: Tensor, hits: Tensor, target_rows: Tensor, target_items: Tensor, counts: Tensor, ks: Sequence[int]
) -> dict[str, float | list[float | None]]:
    """How much is found, for which items, and what is recommended at all.

    Args:
        items: The best items, best first, int64 ``[rows, K]``.
        hits: Whether each of them is a target, and the number of targets, int64 ``[rows, K + 1]``.
        target_rows: Row of each test pair, int64 ``[targets]``.
        target_items: Item of each test pair, int64 ``[targets]``; no pair twice.
        counts: Training interactions of each item, int64 ``[n_items]``, the same for all models that are compared
            (:func:`recbole_logq.data.dataset.item_counts.item_counts`); column 0 is padding.
        ks: Lengths of the list, each at most K.

    Returns:
        Values by name: for each k ``recall@k`` (as RecBole), ``coverage@k`` (share of the catalogue that is recommended
        to anybody), ``gini@k`` (see :func:`gini`), ``popularity@k`` (training interactions of a recommended item,
        mean), ``novelty@k`` (its :func:`self_information`, mean, in bits), and ``recall@k_by_decile``: found share of
        the targets in each of :func:`popularity_deciles`, from the least to the most popular items, None where there is
        no target. Once ``targets_by_decile``: how many targets each has.

    Raises:
        ValueError: Shapes or pairs do not belong together, a k is not within 1 and K, nothing was trained on, or
            nothing is recommended.
    """
    for k in ks:
        _check(items, hits, k)
    if not torch.equal(torch.bincount(target_rows, minlength=len(hits)), hits[:, -1]):
        raise ValueError("targets by row are not those that the hits were found with")
    catalogue = counts[1:].double()
    information = self_information(counts)
    decile = popularity_deciles(counts)
    targets = torch.bincount(decile[target_items - 1], minlength=DECILES)
    result: dict[str, float | list[float | None]] = {}
    for k in ks:
        best = items[:, :k]
        counts_shown = torch.bincount(best.flatten(), minlength=len(counts))[1:].double()
        if not counts_shown.any():
            raise ValueError("nothing is recommended: all rows hold the padding item alone")
        result[f"recall@{k}"] = float(per_user(items, hits, k)["recall"].double().mean())
        result[f"coverage@{k}"] = float((counts_shown > 0).double().mean())
        result[f"gini@{k}"] = gini(counts_shown)
        result[f"popularity@{k}"] = float(counts_shown @ catalogue / counts_shown.sum())
        result[f"novelty@{k}"] = float(counts_shown @ information / counts_shown.sum())
        hit = torch.bincount(decile[best[hits[:, :k] > 0] - 1], minlength=DECILES)
        result[f"recall@{k}_by_decile"] = [
            n_hits / n_targets if n_targets else None
            for n_hits, n_targets in zip(hit.tolist(), targets.tolist(), strict=True)
        ]
    result["targets_by_decile"] = targets.tolist()
    return result


def per_user(items: Tensor, hits: Tensor, k: int) -> dict[str, Tensor]:
    """What RecBole's metrics are the mean of.

    Args:
        items: Recommended items, as in :func:`measures`.
        hits: Hits and numbers of targets, as in :func:`measures`; each row has a target.
        k: Length of the list.

    Returns:
        ``ndcg`` and ``recall``, float32 ``[rows]``, by RecBole's definitions (the ideal list has all targets, at most
        k, in front), and ``first_hit``, int64 ``[rows]``: rank of the first target in the list, 0 where it has none.

    Raises:
        ValueError: Shapes do not belong together, k is not within 1 and K, or a row has no target.
    """
    _check(items, hits, k)
    flags, targets = hits[:, :k] > 0, hits[:, -1]
    ranks = torch.arange(1, k + 1, device=hits.device)
    gain = 1 / (ranks + 1).double().log2()
    ideal = gain.cumsum(0)[targets.clamp_max(k) - 1]
    number = flags.sum(1)
    return {
        "ndcg": (flags.double() @ gain / ideal).float(),
        "recall": (number.double() / targets).float(),
        "first_hit": torch.where(number > 0, flags.int().argmax(1) + 1, 0),
    }


def gini(shown: Tensor) -> float:
    """Gini index of how often items are recommended; 0 if all are alike, 1 if one item is all there is.

    ``sum_j (2 j - n - 1) p_j / (n - 1)`` with the shares p in ascending order (Shani & Gunawardana, "Evaluating
    Recommendation Systems", Recommender Systems Handbook, 2011). RecBole's ``GiniIndex`` has n for n - 1 and counts the
    padding item among the n. With lists of k different items at most (n - k) / (n - 1) can come out.

    Args:
        shown: Times that each item of the catalogue is recommended, zeros included, float64 ``[n]``.
    """
    n = len(shown)
    if n < 2:
        return 0.0
    weight = 2 * torch.arange(1, n + 1, dtype=torch.float64, device=shown.device) - n - 1
    return float(weight @ shown.sort().values / shown.sum() / (n - 1))


def self_information(counts: Tensor) -> Tensor:
    """-log2 of each item's share of the training interactions, float64 ``[n_items - 1]``, in bits.

    Zhou et al., "Solving the apparent diversity-accuracy dilemma of recommender systems", PNAS 2010, with the share of
    interactions where they have that of users: on one training part these differ by the same number for all items. An
    item that nobody had would be infinitely novel; it gets what an item that one user had gets.

    Args:
        counts: Training interactions of each item, int64 ``[n_items]``; column 0 is padding.

    Raises:
        ValueError: Nothing was trained on.
    """
    counts = counts[1:].double()
    if not counts.any():
        raise ValueError("no item has a training interaction: popularity says nothing")
    return counts.sum().log2() - counts.clamp_min(1).log2()


def popularity_deciles(counts: Tensor) -> Tensor:
    """Which tenth of the training interactions each item belongs to, int64 ``[n_items - 1]``: 0 least popular, 9 most.

    Items are sorted by training interactions, ties by id, and cut so that each group holds a tenth of these, as far as
    whole items allow: an item belongs where the middle of its interactions lies. Groups of equal training
    interactions are those of Wu et al. (SGL, SIGIR 2021) and others; they depend neither on the test part nor on a
    model. A very popular item can fill several tenths, and those that the middle is not in stay empty.

    Args:
        counts: Training interactions of each item, int64 ``[n_items]``, not all 0; column 0 is padding.
    """
    counts = counts[1:]
    order = counts.argsort(stable=True)
    ends = counts[order].cumsum(0)
    # In whole numbers, so that no rounding moves an item.
    middle = 2 * ends - counts[order]
    tenth = (DECILES * middle // (2 * ends[-1])).clamp_max(DECILES - 1)
    return torch.empty_like(tenth).scatter_(0, order, tenth)


def _check(items: Tensor, hits: Tensor, k: int) -> None:
    rows, width = items.shape
    if not rows or hits.shape != (rows, width + 1):
        raise ValueError(f"items {tuple(items.shape)} need hits of one column more, found {tuple(hits.shape)}")
    if not 1 <= k <= width:
        raise ValueError(f"k={k}: rankings have 1 to {width} items")
    if not hits[:, -1].all():
        raise ValueError("a row has no target: recall and NDCG are not defined for it")
