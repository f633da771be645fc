"""Measures against RecBole's metric classes, loops over items, and cases worked out by hand."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from recbole.evaluator import metrics as theirs
from recbole.evaluator.collector import DataStruct

from recbole_logq import compat, run
from recbole_logq.data.dataset.item_counts import item_counts
from recbole_logq.evaluation.measures import gini, measures, per_user, popularity_deciles, self_information
from recbole_logq.training import ranking

N_ITEMS, K = 40, 20


class Drawn(NamedTuple):
    items: torch.Tensor
    hits: torch.Tensor
    target_rows: torch.Tensor
    target_items: torch.Tensor
    counts: torch.Tensor


def draw(seed: int, rows: int = 30) -> Drawn:
    """Random rankings; rows have 1 to 30 targets, so more than K too; some items have no training target."""
    generator = torch.Generator().manual_seed(seed)
    order = torch.rand(rows, N_ITEMS - 1, generator=generator).argsort(1) + 1
    number = torch.randint(1, 31, (rows,), generator=generator)
    number[0] = 1
    wanted = torch.rand(rows, N_ITEMS - 1, generator=generator).argsort(1) + 1
    target_rows = torch.arange(rows).repeat_interleave(number)
    target_items = torch.cat([row[:n].sort().values for row, n in zip(wanted, number.tolist(), strict=True)])
    is_target = torch.zeros(rows, N_ITEMS, dtype=torch.int64)
    is_target[target_rows, target_items] = 1
    items = order[:, :K]
    hits = torch.cat([is_target.gather(1, items), number.unsqueeze(1)], 1)
    counts = torch.randint(0, 50, (N_ITEMS,), generator=generator)
    counts[0] = 0
    counts[5] = 0
    return Drawn(items, hits, target_rows, target_items, counts)


def by_recbole(name: str, drawn: Drawn, ks: list[int]) -> dict[str, float]:
    compat.apply()  # the classes use names that numpy has dropped
    held = DataStruct()
    held.set("rec.items", drawn.items)
    held.set("rec.topk", drawn.hits)
    held.set("data.num_items", N_ITEMS)
    held.set("data.count_items", dict(enumerate(drawn.counts.tolist())))
    config: Any = {"topk": [*ks, K], "metric_decimal_place": 12}  # RecBole needs the largest k to be the width
    found: dict[str, float] = getattr(theirs, name)(config).calculate_metric(held)
    return found


@pytest.mark.parametrize("seed", range(3))
def test_per_user_means_are_recboles(seed: int) -> None:
    drawn = draw(seed)
    ks = [1, 3, 10, K]
    ndcg, recall = by_recbole("NDCG", drawn, ks), by_recbole("Recall", drawn, ks)
    mrr = by_recbole("MRR", drawn, ks)
    for k in ks:
        found = per_user(drawn.items, drawn.hits, k)
        assert found["ndcg"].dtype == found["recall"].dtype == torch.float32
        assert found["first_hit"].dtype == torch.int64
        assert found["ndcg"].double().mean().item() == pytest.approx(ndcg[f"ndcg@{k}"], abs=1e-6)
        assert found["recall"].double().mean().item() == pytest.approx(recall[f"recall@{k}"], abs=1e-6)
        rank = found["first_hit"].double()
        assert torch.where(rank > 0, 1 / rank, 0).mean().item() == pytest.approx(mrr[f"mrr@{k}"], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_what_is_recommended_as_in_recbole_and_in_loops(seed: int) -> None:
    drawn = draw(seed, rows=3)
    ks = [1, 10, K]
    found = measures(*drawn, ks)
    coverage, popularity = by_recbole("ItemCoverage", drawn, ks), by_recbole("AveragePopularity", drawn, ks)
    their_gini = by_recbole("GiniIndex", drawn, ks)
    recall = by_recbole("Recall", drawn, ks)
    total = drawn.counts.sum().item()
    for k in ks:
        # RecBole counts the padding item as part of the catalogue.
        assert found[f"coverage@{k}"] == pytest.approx(coverage[f"itemcoverage@{k}"] * N_ITEMS / (N_ITEMS - 1))
        # One item more that is never shown moves the sum of the formula by -1.
        moved = (their_gini[f"giniindex@{k}"] * N_ITEMS - 1) / (N_ITEMS - 2)
        assert found[f"gini@{k}"] == pytest.approx(moved)
        assert found[f"popularity@{k}"] == pytest.approx(popularity[f"averagepopularity@{k}"])
        assert found[f"recall@{k}"] == pytest.approx(recall[f"recall@{k}"], abs=1e-6)
        bits = [-math.log2(max(drawn.counts[item].item(), 1) / total) for item in drawn.items[:, :k].flatten().tolist()]
        assert found[f"novelty@{k}"] == pytest.approx(sum(bits) / len(bits))


def test_recall_by_decile_is_that_of_a_loop_over_targets() -> None:
    drawn = draw(7)
    found = measures(*drawn, [5, K])
    decile = popularity_deciles(drawn.counts)
    for k in (5, K):
        of_all, of_found = [0] * 10, [0] * 10
        for row, item in zip(drawn.target_rows.tolist(), drawn.target_items.tolist(), strict=True):
            of_all[decile[item - 1]] += 1
            of_found[decile[item - 1]] += item in drawn.items[row, :k].tolist()
        assert found["targets_by_decile"] == of_all
        assert found[f"recall@{k}_by_decile"] == [f / a if a else None for f, a in zip(of_found, of_all, strict=True)]
    assert sum(drawn.hits[:, :-1].flatten()) > 100


def test_deciles_by_hand() -> None:
    # 20 targets, so 2 a decile; items of one count are taken by id, and an item without any is the least popular.
    counts = torch.tensor([0, 1, 4, 1, 0, 2, 12])
    # In order: item 4 (0), 1 (0 to 1), 3 (1 to 2), 5 (2 to 4), 2 (4 to 8), 6 (8 to 20).
    assert popularity_deciles(counts).tolist() == [0, 3, 0, 0, 1, 7]


def test_deciles_of_alike_items_are_even_and_in_order_of_id() -> None:
    counts = torch.full((101,), 3)
    assert popularity_deciles(counts).tolist() == torch.arange(10).repeat_interleave(10).tolist()


def test_deciles_hold_a_tenth_each_where_items_are_many() -> None:
    generator = torch.Generator().manual_seed(0)
    ranks = torch.arange(1, 5001)[torch.randperm(5000, generator=generator)]
    counts = torch.cat([torch.zeros(1, dtype=torch.int64), 3000 // (ranks + 50) + 1])
    decile = popularity_deciles(counts)
    share = torch.zeros(10).scatter_add_(0, decile, counts[1:].float()) / counts.sum()
    assert share.tolist() == pytest.approx([0.1] * 10, abs=60 / counts.sum().item())
    popular_first = decile[counts[1:].argsort(stable=True)]
    assert (popular_first.diff() >= 0).all()


def test_the_ends_of_the_gini_index() -> None:
    assert gini(torch.full((7,), 4.0).double()) == pytest.approx(0)
    assert gini(torch.tensor([0, 0, 9, 0, 0]).double()) == pytest.approx(1)
    assert gini(torch.tensor([1, 0]).double()) == pytest.approx(1)
    assert gini(torch.tensor([3.0]).double()) == 0
    # Half of the mean absolute difference of all ordered pairs over the mean, which is the definition.
    shown = torch.tensor([0, 1, 1, 5, 3]).double()
    pairs = (shown.unsqueeze(0) - shown.unsqueeze(1)).abs().sum() / (5 * 4)
    assert gini(shown) == pytest.approx(float(pairs / (2 * shown.mean())))


def test_self_information_in_bits() -> None:
    assert self_information(torch.tensor([0, 4, 2, 1, 1, 0])).tolist() == [1, 2, 3, 3, 3]


def test_one_ranking_by_hand() -> None:
    # Two rows; the second has two items to rank, the padding item fills its list up.
    items = torch.tensor([[1, 2, 3], [2, 1, 0]])
    hits = torch.tensor([[0, 1, 0, 2], [0, 0, 0, 1]])
    counts = torch.tensor([0, 6, 2, 0])
    found = measures(items, hits, torch.tensor([0, 0, 1]), torch.tensor([2, 3, 3]), counts, [3])
    assert found["recall@3"] == pytest.approx(0.25)
    assert found["coverage@3"] == 1
    assert found["gini@3"] == pytest.approx((-2 * 1 + 0 * 2 + 2 * 2) / 5 / 2)
    assert found["popularity@3"] == pytest.approx((6 + 2 + 0 + 2 + 6) / 5)
    assert found["novelty@3"] == pytest.approx((2 * math.log2(8 / 6) + 2 * 2 + 3) / 5)
    assert found["targets_by_decile"] == [2, 1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert found["recall@3_by_decile"] == [0, 1, *[None] * 8]
    rows = per_user(items, hits, 3)
    assert rows["first_hit"].tolist() == [2, 0]
    assert rows["ndcg"].tolist() == pytest.approx([(1 / math.log2(3)) / (1 + 1 / math.log2(3)), 0])
    assert per_user(items, hits, 1)["first_hit"].tolist() == [0, 0]


def test_what_does_not_belong_together_is_refused() -> None:
    drawn = draw(0)
    for k in (0, K + 1):
        with pytest.raises(ValueError, match=f"k={k}: rankings have 1 to {K} items"):
            measures(*drawn, [1, k])
    with pytest.raises(ValueError, match="one column more"):
        per_user(drawn.items, drawn.hits[:, :-1], 1)
    with pytest.raises(ValueError, match="one column more"):
        per_user(drawn.items[:0], drawn.hits[:0], 1)
    without = drawn.hits.clone()
    without[3, -1] = 0
    with pytest.raises(ValueError, match="no target"):
        per_user(drawn.items, without, 1)
    with pytest.raises(ValueError, match="not those that the hits were found with"):
        measures(*drawn._replace(target_rows=drawn.target_rows.flip(0) * 0), [1])
    with pytest.raises(ValueError, match="no item has a training interaction"):
        measures(*drawn._replace(counts=drawn.counts * 0), [1])
    nothing = drawn.hits.clone()
    nothing[:, :-1] = 0
    with pytest.raises(ValueError, match="nothing is recommended"):
        measures(*drawn._replace(items=drawn.items * 0, hits=nothing), [1])


@pytest.mark.slow
@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ"])
def test_a_real_run_gives_the_metrics_that_recbole_reports(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    seen: list[Any] = []
    settings: dict[str, Any] = {
        "data_path": str(ml100k_cut),
        "train_batch_size": 64,
        "epochs": 1,
        "show_progress": False,
        "metric_decimal_place": 10,
        "valid_metric": "MRR@5",
    }
    settings |= {"topk": [5, 10, 100], "metrics": ["NDCG", "Recall", "MRR", "ItemCoverage", "AveragePopularity"]}
    settings |= {"n_layers": 1, "MAX_ITEM_LIST_LENGTH": 10} if model.startswith("SASRec") else {}
    result = run(model, "cut", None, settings, saved=False, callback=lambda *given: seen.extend(given))["test_result"]
    trainer, (train, _, test) = seen
    found = ranking.rank(trainer.model.eval(), test, 100)
    counts = item_counts(train.dataset)
    ours = measures(*found, test._target_rows, test._target_items, counts, [5, 10, 100])
    for k in (5, 10, 100):
        rows = per_user(*found, k)
        assert rows["ndcg"].double().mean().item() == pytest.approx(result[f"ndcg@{k}"], abs=1e-6)
        assert ours[f"recall@{k}"] == pytest.approx(result[f"recall@{k}"], abs=1e-6)
        rank = rows["first_hit"].double()
        assert torch.where(rank > 0, 1 / rank, 0).mean().item() == pytest.approx(result[f"mrr@{k}"], abs=1e-6)
        assert ours[f"coverage@{k}"] == pytest.approx(result[f"itemcoverage@{k}"])
        assert ours[f"popularity@{k}"] == pytest.approx(result[f"averagepopularity@{k}"])
    assert sum(ours["targets_by_decile"]) == len(test._target_items)
    assert 0 < ours["recall@100"] < 1
