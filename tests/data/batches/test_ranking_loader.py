"""The evaluation loader against RecBole's own, and the history rule on data worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.utils import create_samplers
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.batches import ranking_loader
from recbole_logq.data.batches.ranking_loader import RankingLoader
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.errors import RequestError
from recbole_logq.training.create import create_trainer

LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
RANDOM = {"split": {"RS": [0.7, 0.1, 0.2]}, "order": "RO", "group_by": "user"}
RATIO = {"split": {"RS": [0.7, 0.1, 0.2]}, "order": "TO", "group_by": "user"}
GLOBAL = {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "none"}
CASES = [
    *(("BPR", split) for split in (LAST, RANDOM, RATIO, GLOBAL)),
    *(("SASRecCorrectedLogQ", split) for split in (LAST, RATIO)),
    ("SASRec", LAST),
]


def prepare(model: str, name: str, data_path: Path, **settings: Any) -> tuple[Config, Any, list[Any]]:
    given = {"data_path": str(data_path), "MAX_ITEM_LIST_LENGTH": 3, "train_neg_sample_args": None, **settings}
    if model == "BPR":
        del given["train_neg_sample_args"]
    config = Config(model, name, None, given)
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    return config, dataset, split_dataset(config, dataset)


def ranked(loader: Any, n_items: int) -> dict[Any, tuple[set[int], set[int]]]:
    """User (and target, of sequential models) to history and targets."""
    found: dict[Any, tuple[set[int], set[int]]] = {}
    for rows, history, target_rows, target_items in loader:
        history_rows, history_items = history if history is not None else (torch.tensor([]), torch.tensor([]))
        for row, user in enumerate(rows["user_id"].tolist()):
            targets = set(target_items[target_rows == row].tolist())
            key = (user, *targets) if "item_length" in rows else user
            found[key] = (set(history_items[history_rows == row].tolist()), targets)
    return found


@pytest.mark.parametrize(("model", "split"), CASES, ids=str)
def test_same_rows_targets_and_history_as_recboles_loader(
    ml100k_cut: Path, monkeypatch: pytest.MonkeyPatch, model: str, split: dict[str, Any]
) -> None:
    monkeypatch.setattr(ranking_loader, "SCORES_PER_BLOCK", 1_500)  # several blocks
    config, dataset, parts = prepare(model, "cut", ml100k_cut, eval_args=split, eval_batch_size=1)
    _, valid_sampler, test_sampler = create_samplers(config, dataset, parts)
    for part, earlier, sampler in ((parts[1], parts[:1], valid_sampler), (parts[2], parts[:2], test_sampler)):
        ours = RankingLoader(config, part, earlier)
        assert len(ours) > 1
        theirs = FullSortEvalDataLoader(config, part, sampler)
        assert ranked(ours, dataset.item_num) == ranked(theirs, dataset.item_num)


@pytest.mark.parametrize("model", ["BPR", "TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ", "GRU4Rec"])
def test_metrics_equal_recboles_on_the_same_ranking(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    metrics = ["Recall", "MRR", "NDCG", "Hit", "Precision", "MAP", "GAUC", "ItemCoverage", "AveragePopularity"]
    config, dataset, parts = prepare(
        model, "cut", ml100k_cut, metrics=metrics, topk=[1, 10, 100], valid_metric="MRR@10", metric_decimal_place=8
    )
    samplers = create_samplers(config, dataset, parts)
    loaders = create_loaders(config, dataset, parts)
    network = config.model_class(config, parts[0])
    trainer = create_trainer(config, network)
    trainer.eval_collector.data_collect(loaders[0])
    ours = trainer.evaluate(loaders[2], load_best_model=False)
    theirs = trainer.evaluate(FullSortEvalDataLoader(config, parts[2], samplers[2]), load_best_model=False)
    assert ours == theirs
    assert ours["recall@100"] > 0


# In time order: a: i1 i2 i3 i1 i4 (i1 again), b: i5 i2 i3 i4, c: i4 i5 i1 i2
ROWS = [
    *(("a", item, float(time)) for time, item in enumerate(["i1", "i2", "i3", "i1", "i4"])),
    *(("b", item, float(time)) for time, item in enumerate(["i5", "i2", "i3", "i4"])),
    *(("c", item, float(time)) for time, item in enumerate(["i4", "i5", "i1", "i2"])),
]
VALID = {"a": ({"i2", "i3"}, {"i1"}), "b": ({"i5", "i2"}, {"i3"}), "c": ({"i4", "i5"}, {"i1"})}
TEST = {"a": ({"i1", "i2", "i3"}, {"i4"}), "b": ({"i5", "i2", "i3"}, {"i4"}), "c": ({"i4", "i5", "i1"}, {"i2"})}


@pytest.mark.parametrize("model", ["BPR", "TwoTowerCorrectedLogQ", "SASRec", "SASRecCorrectedLogQ"])
def test_history_by_hand_is_the_same_for_all_models(write_dataset: Callable[..., Path], model: str) -> None:
    settings = {"eval_args": LAST, "topk": [2], "valid_metric": "MRR@2", "metrics": ["MRR"]}
    # A window of 3 items: the history that is filtered is longer than the one the encoder sees.
    for given in (True, False, None):
        path = write_dataset(f"tiny{given}", ROWS)
        config, dataset, parts = prepare(model, f"tiny{given}", path, filter_history=given, **settings)
        loaders = create_loaders(config, dataset, parts)
        for loader, expected in ((loaders[1], VALID), (loaders[2], TEST)):
            users, items = dataset.field2id_token["user_id"], dataset.field2id_token["item_id"]
            found = {}
            for key, (history, targets) in ranked(loader, dataset.item_num).items():
                user = users[key[0] if isinstance(key, tuple) else key]
                found[str(user)] = ({str(items[item]) for item in history}, {str(items[item]) for item in targets})
            filtered = given if given is not None else model in {"BPR", "TwoTowerCorrectedLogQ"}
            assert found == {user: (seen if filtered else set(), wanted) for user, (seen, wanted) in expected.items()}


def test_random_splits_filter_the_earlier_parts(write_dataset: Callable[..., Path]) -> None:
    settings = {"topk": [2], "valid_metric": "MRR@2", "filter_history": True}
    config, dataset, parts = prepare("BPR", "tiny", write_dataset("tiny", ROWS), eval_args=RANDOM, **settings)
    pairs = [set(zip(p.inter_feat["user_id"].tolist(), p.inter_feat["item_id"].tolist(), strict=True)) for p in parts]
    for user, (history, targets) in ranked(RankingLoader(config, parts[2], parts[:2]), dataset.item_num).items():
        assert targets == {item for owner, item in pairs[2] if owner == user}
        assert history == {item for owner, item in pairs[0] | pairs[1] if owner == user} - targets


def test_what_cannot_be_filtered_is_refused(ml100k_cut: Path) -> None:
    with pytest.raises(RequestError, match="filter_history=False: it is about full ranking"):
        prepare("BPR", "cut", ml100k_cut, filter_history=False, **{"eval_args.mode": "uni100"})
