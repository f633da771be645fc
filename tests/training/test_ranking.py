"""Evaluation against RecBole's own: its loader, its trainer's loop and its collector, on the same weights."""

from __future__ import annotations

import logging
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.utils import create_samplers
from recbole.evaluator.register import metric_types
from recbole.model.general_recommender import BPR
from recbole.trainer import Trainer as RecBoleTrainer
from recbole.utils import EvaluatorType, init_seed

from recbole_logq.config import Config
from recbole_logq.data.batches import ranking_loader
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.evaluation import top_k
from recbole_logq.training import ranking
from recbole_logq.training.create import create_trainer

LAST = {"split": {"LS": "valid_and_test"}, "order": "TO"}
RANDOM = {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": "user"}
# All that RecBole ranks with, GAUC through RecBole's own path.
RANKING = sorted(name for name, kind in metric_types.items() if kind == EvaluatorType.RANKING)
OF_THE_BEST = sorted(set(RANKING) - {"gauc"})


class Prepared(NamedTuple):
    config: Config
    loaders: Any
    theirs: Any
    trainer: Any


def prepare(model: str | type, eval_args: dict[str, Any], **settings: Any) -> Prepared:
    given = {"MAX_ITEM_LIST_LENGTH": 10, "topk": [1, 5, 10, 100], "valid_metric": "MRR@10", **settings}
    given |= {"metric_decimal_place": 10, "eval_args": eval_args, "show_progress": False}
    if model == "SASRec":
        given["train_neg_sample_args"] = None
    config = Config(model, given.pop("dataset", "ml-100k"), None, given)
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    parts = split_dataset(config, dataset)
    samplers = create_samplers(config, dataset, parts)
    loaders = create_loaders(config, dataset, parts)
    network = config.model_class(config, parts[0])
    if "full" in eval_args.get("mode", "full"):
        # In single precision, products of other shapes differ in the last bit, which may swap two items.
        network = network.double()
    trainer = create_trainer(config, network)
    trainer.eval_collector.data_collect(loaders[0])
    return Prepared(config, loaders, FullSortEvalDataLoader(config, parts[2], samplers[2]), trainer)


def as_recbole_does(prepared: Prepared, loader: Any) -> Any:
    return RecBoleTrainer.evaluate(prepared.trainer, loader, load_best_model=False)


RECBOLES, OURS = "RecBole's loader", "our loader"  # RecBole's has no filter_history
CASES = [
    ("TwoTowerCorrectedLogQ", LAST, None, RECBOLES),
    ("TwoTowerInfoNCE", RANDOM, True, RECBOLES),
    ("TwoTowerCorrectedLogQ", RANDOM, False, OURS),
    ("SASRecCorrectedLogQ", LAST, None, RECBOLES),
    ("SASRecCorrectedLogQ", LAST, True, OURS),
    ("BPR", LAST, None, RECBOLES),
    ("BPR", RANDOM, False, OURS),
    ("ItemKNN", RANDOM, None, RECBOLES),
    ("EASE", LAST, False, OURS),
    ("SASRec", LAST, None, RECBOLES),
]


@pytest.mark.slow
@pytest.mark.parametrize(("model", "split", "history", "loader"), CASES, ids=str)
def test_every_ranking_metric_equals_recboles(
    in_tmp: Path, model: str, split: dict[str, Any], history: bool | None, loader: str
) -> None:
    prepared = prepare(model, split, metrics=OF_THE_BEST, filter_history=history)
    assert ranking.why_not(prepared.config, prepared.loaders[2]) is None
    ours = prepared.trainer.evaluate(prepared.loaders[2], load_best_model=False)
    theirs = as_recbole_does(prepared, prepared.theirs if loader == RECBOLES else prepared.loaders[2])
    assert ours == theirs
    assert len(ours) == 4 * len(OF_THE_BEST)
    assert 0 < ours["recall@100"] < 1


FALLBACKS = [
    ("TwoTowerCorrectedLogQ", RANKING, "full", "gauc is not about the best items only"),
    ("SASRecCorrectedLogQ", RANKING, "full", "gauc is not about the best items only"),
    ("DeepFM", OF_THE_BEST, "full", "DeepFM scores pairs only"),
    ("BPR", OF_THE_BEST, "uni20", "only some items are ranked"),
]


@pytest.mark.parametrize(("model", "metrics", "mode", "reason"), FALLBACKS, ids=[case[0] for case in FALLBACKS])
def test_the_rest_goes_recboles_way_and_says_so(
    in_tmp: Path,
    ml100k_cut: Path,
    caplog: pytest.LogCaptureFixture,
    model: str,
    metrics: list[str],
    mode: str,
    reason: str,
) -> None:
    split = {**LAST, "mode": mode}
    prepared = prepare(model, split, dataset="cut", data_path=str(ml100k_cut), topk=[1, 5, 10], metrics=metrics)
    init_seed(1, True)  # sampled negatives come from the global generator
    with caplog.at_level(logging.DEBUG):
        ours = prepared.trainer.evaluate(prepared.loaders[2], load_best_model=False)
    assert f"evaluation the way RecBole does it: {reason}" in caplog.text
    init_seed(1, True)
    assert ours == as_recbole_does(prepared, prepared.theirs if mode == "full" else prepared.loaders[2])
    assert ("gauc" in ours) == (metrics is RANKING)


def test_a_model_whose_full_sort_predict_is_not_implemented_is_ranked_by_pairs(
    in_tmp: Path, ml100k_cut: Path, caplog: pytest.LogCaptureFixture
) -> None:
    class OfPairs(BPR):
        def full_sort_predict(self, interaction: Any) -> Any:
            raise NotImplementedError

    data = {"dataset": "cut", "data_path": str(ml100k_cut), "topk": [1, 5, 10], "metrics": OF_THE_BEST}
    prepared = prepare(OfPairs, LAST, **data, eval_batch_size=1000)
    loader = prepared.loaders[2]
    with caplog.at_level(logging.DEBUG):
        ours = prepared.trainer.evaluate(loader, load_best_model=False)
    assert "evaluation the way RecBole does it: OfPairs scores pairs only" in caplog.text
    assert ours == as_recbole_does(prepared, prepared.theirs)
    assert sum(len(block[0]) for block in loader) == loader.sample_size
    assert max(len(block[0]) for block in loader) == max(1000 // prepared.trainer.model.n_items, 1)
    assert ranking.why_not_ranked(prepared.config, loader) == "OfPairs scores pairs only"  # and no verdict on it


@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ", "BPR"])
def test_blocks_parts_and_the_progress_bar_change_nothing(
    in_tmp: Path, ml100k_cut: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], model: str
) -> None:
    data = {"dataset": "cut", "data_path": str(ml100k_cut), "metrics": ["MRR", "ItemCoverage"], "topk": [1, 10, 100]}
    prepared = prepare(model, LAST, filter_history=True, **data)
    loader, network = prepared.loaders[2], prepared.trainer.model
    before = prepared.trainer.evaluate(loader, load_best_model=False)
    whole = ranking.rank(network, loader, 100)
    rows = len(whole.items)
    cuts = [0, 1, rows // 3, rows // 3, rows]  # one part has no row
    parts = [ranking.rank(network, loader, 100, first, last) for first, last in pairwise(cuts)]
    assert torch.equal(torch.cat([part.items for part in parts]), whole.items)
    assert torch.equal(torch.cat([part.hits for part in parts]), whole.hits)

    monkeypatch.setattr(ranking, "ROWS", 7)
    monkeypatch.setattr(top_k, "TILE_ROWS", 3)
    monkeypatch.setattr(top_k, "TILE_COLUMNS", 64)
    monkeypatch.setattr(ranking_loader, "SCORES_PER_BLOCK", 1_500)
    other = prepare(model, LAST, filter_history=True, **data, eval_batch_size=1)
    other.trainer.model.load_state_dict(network.state_dict())
    assert other.trainer.evaluate(other.loaders[2], load_best_model=False, show_progress=True) == before
    bar = capsys.readouterr().err
    assert "Evaluate" in bar
    assert "100%" in bar


def test_what_is_not_ranked_is_never_a_hit(build: Callable[..., Any]) -> None:
    network, _, loaders = build("BPR", filter_history=False)
    network.full_sort_predict = lambda rows: torch.full((len(rows), network.n_items), -torch.inf)
    found = ranking.rank(network.eval(), loaders[2], 100)
    assert found.hits[:, :-1].sum() == 0
    assert (found.hits[:, -1] >= 1).all()


def test_item_vectors_are_made_once(build: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    network, _, loaders = build("TwoTowerCorrectedLogQ")
    calls: list[None] = []
    make = network.item_vectors
    monkeypatch.setattr(ranking, "ROWS", 5)
    monkeypatch.setattr(network, "item_vectors", lambda ids: calls.append(ids) or make(ids))
    ranking.rank(network.eval(), loaders[2], 10)
    assert calls == [None]
