"""RecBole's metrics of what is recommended, whoever it is for, by their definitions.

RecBole 1.2.1 counts the padding item as part of the catalogue and of lists that it only fills up, gives the mean of an
entropy's terms for their sum, and leaves out of the long tail the items that training has never seen. Obsolete once it
does none of that. Names, settings and places to round are its own.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from recbole.evaluator import metrics as theirs
from recbole.evaluator.collector import Collector
from torch import Tensor

from recbole_logq.data.dataset.item_counts import item_counts

Items = NDArray[np.int64]
"""Recommended items ``[rows, k]``; 0, the padding item, where a row has fewer to rank."""


class ItemCollector(Collector):
    """RecBole's collector, with one count of items for all models, and lists that nothing but padding fills up."""

    def data_collect(self, train_data: Any) -> None:
        """See RecBole's ``Collector``; items that were never had are counted too, with 0."""
        super().data_collect(train_data)
        if self.register.need("data.count_items"):
            counts = item_counts(train_data.dataset).tolist()
            self.data_struct.set("data.count_items", Counter(dict(enumerate(counts[1:], 1))))

    def eval_batch_collect(self, scores_tensor: Tensor, *batch: Any) -> None:
        """See RecBole's ``Collector``."""
        super().eval_batch_collect(scores_tensor, *batch)
        if self.register.need("rec.items"):
            unranked = scores_tensor.topk(max(self.topk), dim=-1).values == -torch.inf
            self.data_struct.get("rec.items")[-len(unranked) :][unranked] = 0


def _counts(items: Items) -> Items:
    """How often each item that is recommended is, in ascending order."""
    return np.sort(np.unique(items[items > 0], return_counts=True)[1])


class ItemCoverage(theirs.ItemCoverage):
    """Items that are recommended to anybody, of the items of the catalogue."""

    def get_coverage(self, item_matrix: Items, num_items: int) -> float:
        return len(_counts(item_matrix)) / (num_items - 1)


class ShannonEntropy(theirs.ShannonEntropy):
    """``-sum p log p`` over the items' shares of all recommendations, in nats."""

    def get_entropy(self, item_matrix: Items) -> float:
        counts = _counts(item_matrix)
        share = counts / max(counts.sum(), 1)
        return 0.0 - float(share @ np.log(share))


class GiniIndex(theirs.GiniIndex):
    """``sum_j (2 j - n - 1) p_j / n``, over the n items of the catalogue in ascending order of their shares p."""

    def get_gini(self, item_matrix: Items, num_items: int) -> float:
        counts, n = _counts(item_matrix), num_items - 1
        places = np.arange(n - len(counts) + 1, n + 1)
        return float((2 * places - n - 1) @ counts / (n * max(counts.sum(), 1)))


def _means(values: NDArray[np.float64], items: Items) -> NDArray[np.float64]:
    """Means for lists of each length ``[k]``: the mean over the lists of their items' mean; an empty list has none."""
    real = items > 0
    sizes = real.cumsum(axis=1)
    means = np.where(real, values, 0).cumsum(axis=1) / np.maximum(sizes, 1)
    return means.sum(axis=0) / np.maximum((sizes > 0).sum(axis=0), 1)


def _by_id(count_items: dict[int, int], items: Items) -> NDArray[np.int64]:
    counts = np.zeros(max(int(items.max(initial=0)), max(count_items, default=0)) + 1, dtype=np.int64)
    counts[list(count_items)] = list(count_items.values())
    return counts


class AveragePopularity(theirs.AveragePopularity):
    """Training interactions of a recommended item, mean over each list, then over lists."""

    def calculate_metric(self, dataobject: Any) -> dict[str, float]:
        items, count_items = self.used_info(dataobject)
        means = _means(_by_id(count_items, items)[items], items)
        return {f"averagepopularity@{k}": round(float(means[k - 1]), self.decimal_place) for k in self.topk}


class TailPercentage(theirs.TailPercentage):
    """Share of long-tail items in a list, mean over lists.

    ``tail_ratio`` is a whole number, for the items with at most that many training interactions, or a share up to 1, of
    the items of the catalogue, for the least popular ones (ties by id).
    """

    def calculate_metric(self, dataobject: Any) -> dict[str, float]:
        items, count_items = self.used_info(dataobject)
        in_tail = np.zeros(len(_by_id(count_items, items)), dtype=np.float64)
        in_tail[self._tail(count_items)] = 1
        means = _means(in_tail[items], items)
        return {f"tailpercentage@{k}": round(float(means[k - 1]), self.decimal_place) for k in self.topk}

    def _tail(self, count_items: dict[int, int]) -> list[int]:
        if isinstance(self.tail, int) or self.tail > 1:
            return [item for item, count in count_items.items() if count <= self.tail]
        ordered = sorted(count_items, key=lambda item: (count_items[item], item))
        # 29 % of 100 items are 29, which 0.29 * 100 is just below.
        return ordered[: max(math.floor(len(ordered) * self.tail + 1e-9), 1)]


RIGHTED = (ItemCoverage, ShannonEntropy, GiniIndex, AveragePopularity, TailPercentage)


def right(evaluator: Any, config: Any) -> None:
    """Put these in the place of RecBole's, in its evaluator."""
    for metric in RIGHTED:
        if (name := metric.__name__.lower()) in evaluator.metric_class:
            evaluator.metric_class[name] = metric(config)
