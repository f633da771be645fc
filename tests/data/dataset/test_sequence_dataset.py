"""The light sequence dataset against RecBole's augmentation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.data.batches.loaders import WindowLoader
from recbole_logq.data.dataset.fingerprint import split_fingerprint
from recbole_logq.data.prepare import create_dataset, split_dataset

SPLITS = [
    {"split": {"LS": "valid_and_test"}, "order": "TO"},
    {"split": {"LS": "test_only"}, "order": "TO"},
    {"split": {"RS": [0.7, 0.1, 0.2]}, "order": "TO", "group_by": "user"},
    {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "TO", "group_by": "none"},
]


def build(model: str, data_path: Path, **settings: Any) -> tuple[Config, list[Any]]:
    given = {"data_path": str(data_path), "MAX_ITEM_LIST_LENGTH": 7, "train_neg_sample_args": None, **settings}
    config = Config(model, "cut", None, given)
    return config, split_dataset(config, create_dataset(config))


@pytest.mark.parametrize("eval_args", SPLITS, ids=str)
def test_same_rows_and_histories_as_recbole(ml100k_cut: Path, eval_args: dict[str, Any]) -> None:
    _, theirs = build("SASRec", ml100k_cut, eval_args=eval_args)
    config, ours = build("SASRecCorrectedLogQ", ml100k_cut, eval_args=eval_args)
    assert split_fingerprint(ours) == split_fingerprint(theirs)
    fields = (config["USER_ID_FIELD"], config["ITEM_ID_FIELD"], "item_length", "item_id_list")
    for own, recbole in zip(ours, theirs, strict=True):
        for rows in (own, recbole):
            rows.sort(by=["user_id", "timestamp", "item_id"])
        index = torch.arange(len(own))
        for field in fields:
            assert torch.equal(own[index][field], recbole[index][field]), field


@pytest.mark.parametrize("eval_args", SPLITS, ids=str)
def test_an_epoch_trains_on_exactly_recboles_targets(ml100k_cut: Path, eval_args: dict[str, Any]) -> None:
    _, theirs = build("SASRec", ml100k_cut, eval_args=eval_args)
    config, ours = build("SASRecCorrectedLogQ", ml100k_cut, eval_args=eval_args, train_batch_size=16)
    loader = WindowLoader(config, ours[0])
    batches = list(loader)
    targets = torch.cat([batch["item_id"][slice(None) if batch.real is None else batch.real] for batch in batches])
    expected = theirs[0].inter_feat["item_id"]
    assert torch.equal(targets.sort().values, expected.sort().values)
    assert loader.n_positives == len(expected)
    for batch in batches:
        assert all(len(batch[field]) == batch.packing.n_tokens for field in ("item_id_list", "item_id", "user_id"))
        assert (batch["item_id_list"] > 0).all()


def test_the_same_seed_gives_the_same_batches(ml100k_cut: Path) -> None:
    first, second, other = (
        [batch["item_id"] for batch in WindowLoader(config, parts[0])]
        for config, parts in (
            build("SASRecCorrectedLogQ", ml100k_cut, seed=seed, train_batch_size=16) for seed in (1, 1, 2)
        )
    )
    assert all(map(torch.equal, first, second))
    assert not all(map(torch.equal, first, other))


def test_the_fingerprint_ignores_ids_and_row_order_but_sees_a_swap(ml100k_cut: Path) -> None:
    _, parts = build("SASRecCorrectedLogQ", ml100k_cut)
    before = split_fingerprint(parts)
    parts[2].inter_feat._reindex(torch.randperm(len(parts[2])))
    assert split_fingerprint(parts) == before
    items = parts[2].inter_feat["item_id"]
    position = int((items != items[0]).nonzero()[0])
    items[0], items[position] = int(items[position]), int(items[0])
    after = split_fingerprint(parts)
    assert after["test"] != before["test"]
    assert after["train"] == before["train"]
