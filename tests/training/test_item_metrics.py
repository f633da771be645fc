"""RecBole's metrics of what is recommended, by their definitions: by hand, in loops, through both ways to evaluate."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from recbole.evaluator.collector import DataStruct

from recbole_logq import run
from recbole_logq.errors import RequestError
from recbole_logq.evaluation_settings import check_evaluation
from recbole_logq.training.item_metrics import (
    AveragePopularity,
    GiniIndex,
    ItemCoverage,
    ShannonEntropy,
    TailPercentage,
)

# Three lists of items of a catalogue of 1 to 5; two have fewer to rank, and the padding item fills them up.
ITEMS = [[1, 2, 3], [1, 2, 0], [1, 0, 0]]
COUNTS = {1: 10, 2: 4, 3: 1, 4: 0, 5: 0}


def value(metric: type, items: Any = ITEMS, counts: dict[int, int] | None = None, k: int = 3, **settings: Any) -> float:
    counts = COUNTS if counts is None else counts
    held = DataStruct()
    held.set("rec.items", torch.tensor(items))
    held.set("data.num_items", len(counts) + 1)
    held.set("data.count_items", Counter(counts))
    config = {"topk": [k], "metric_decimal_place": 12, "tail_ratio": None, **settings}
    (found,) = metric(config).calculate_metric(held).values()
    return float(found)


def test_by_hand() -> None:
    assert value(ItemCoverage) == pytest.approx(3 / 5)
    shares = [3 / 6, 2 / 6, 1 / 6]
    assert value(ShannonEntropy) == pytest.approx(-sum(p * math.log(p) for p in shares))
    # sum of (2 j - n - 1) p_j / n with n = 5 and shares 0, 0, 1/6, 2/6, 3/6.
    assert value(GiniIndex) == pytest.approx((0 * 1 + 2 * 2 + 4 * 3) / 6 / 5)
    assert value(AveragePopularity) == pytest.approx((15 / 3 + 14 / 2 + 10) / 3)
    assert value(AveragePopularity, k=1) == 10
    # 40 % of five items are two, 4 and 5, which nobody has had.
    assert value(TailPercentage, tail_ratio=0.4) == 0
    assert value(TailPercentage, [[4, 5, 1], [5, 0, 0]], tail_ratio=0.4) == pytest.approx((2 / 3 + 1) / 2)
    assert value(TailPercentage, tail_ratio=0.6) == pytest.approx((1 / 3 + 0 + 0) / 3)


def test_the_entropy_is_that_of_all_recommendations_alike() -> None:
    every = [[1, 2], [3, 4]]
    assert value(ShannonEntropy, every, k=2) == pytest.approx(math.log(4))
    assert value(GiniIndex, every, dict.fromkeys(range(1, 5), 1), k=2) == 0
    assert value(ItemCoverage, every, dict.fromkeys(range(1, 5), 1), k=2) == 1
    assert str(value(ShannonEntropy, [[1], [1]], k=1)) == "0.0"  # not -0.0


@pytest.mark.parametrize(
    ("ratio", "tail"),
    [(1, {3, 4, 5}), (4, {2, 3, 4, 5}), (1.0, {1, 2, 3, 4, 5}), (0.2, {4}), (0.01, {4}), (None, {4}), (0.6, {3, 4, 5})],
)
def test_who_is_in_the_tail(ratio: float | None, tail: set[int]) -> None:
    found = {item for item in COUNTS if value(TailPercentage, [[item]], k=1, tail_ratio=ratio)}
    assert found == tail


def test_a_share_of_the_items_is_not_rounded_down_twice() -> None:
    counts = {item: item for item in range(1, 101)}
    assert 0.29 * 100 < 29  # in floating point
    found = [item for item in counts if value(TailPercentage, [[item]], counts, k=1, tail_ratio=0.29)]
    assert found == list(range(1, 30))


def test_nothing_is_recommended() -> None:
    for metric in (ItemCoverage, ShannonEntropy, GiniIndex, AveragePopularity, TailPercentage):
        assert value(metric, [[0, 0]], k=2) == 0


@pytest.mark.parametrize("seed", range(2))
def test_in_loops(seed: int) -> None:
    generator = np.random.default_rng(seed)
    n, k = 30, 8
    items = np.stack([generator.permutation(n)[:k] + 1 for _ in range(20)])
    items[generator.random(items.shape).cumsum(1) > 5] = 0
    counts = {item: int(generator.integers(0, 6)) for item in range(1, n + 1)}
    for cut in (1, 3, k):
        lists = [[item for item in row if item] for row in items[:, :cut].tolist()]
        lists = [row for row in lists if row]
        flat = Counter(item for row in lists for item in row)
        total = sum(flat.values())
        shares = sorted(flat.get(item, 0) / total for item in range(1, n + 1))
        tail = sorted(counts, key=lambda item: (counts[item], item))[:3]
        wide = items.tolist()
        assert value(ItemCoverage, wide, counts, cut) == pytest.approx(len(flat) / n)
        assert value(ShannonEntropy, wide, counts, cut) == pytest.approx(-sum(p * math.log(p) for p in shares if p))
        gini = sum((2 * j - n - 1) * p for j, p in enumerate(shares, 1)) / n
        assert value(GiniIndex, wide, counts, cut) == pytest.approx(gini)
        popularity = [sum(counts[item] for item in row) / len(row) for row in lists]
        assert value(AveragePopularity, wide, counts, cut) == pytest.approx(np.mean(popularity))
        share = [sum(item in tail for item in row) / len(row) for row in lists]
        assert value(TailPercentage, wide, counts, cut) == pytest.approx(np.mean(share))


LISTS = ["ItemCoverage", "ShannonEntropy", "GiniIndex", "AveragePopularity", "TailPercentage"]


@pytest.mark.parametrize("ways", [["NDCG"], ["NDCG", "GAUC"]], ids=["ours", "RecBole's"])
def test_lists_that_are_only_filled_up(in_tmp: Path, write_dataset: Callable[..., Path], ways: list[str]) -> None:
    """Each user has had 4 of 6 items before the test target, so that 2 can be ranked and not 5."""
    rows = [(f"u{user}", f"i{(user + n) % 6}", float(n)) for user in range(12) for n in range(5)]
    settings: dict[str, Any] = {"data_path": str(write_dataset("tiny", rows)), "state": "ERROR", "epochs": 1}
    settings |= {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}, "topk": [5]}
    settings |= {"metrics": [*ways, *LISTS], "valid_metric": "NDCG@5", "filter_history": True, "show_progress": False}
    settings |= {"tail_ratio": 6, "metric_decimal_place": 8}
    found = {
        model: run(model, "tiny", config_dict=settings, saved=False)["test_result"]
        for model in ("Pop", "SASRecUniform")
    }
    for result in found.values():
        # Two different items for each, every item as often; 3 training interactions of each user.
        assert result["itemcoverage@5"] == 1
        assert result["shannonentropy@5"] == pytest.approx(math.log(6))
        assert result["giniindex@5"] == pytest.approx(0)
        assert result["averagepopularity@5"] == pytest.approx(6)
        assert result["tailpercentage@5"] == 1


@pytest.mark.parametrize("ratio", [0, -1, 1.5, True, "0.1", [1], math.nan, 2.0])
def test_tails_that_are_none(ratio: Any) -> None:
    values = {"eval_args": {}, "MODEL_TYPE": None, "metrics": ["TailPercentage"], "topk": [5], "filter_history": None}
    with pytest.raises(RequestError, match="tail_ratio="):
        check_evaluation({**values, "valid_metric": "TailPercentage@5", "tail_ratio": ratio})
