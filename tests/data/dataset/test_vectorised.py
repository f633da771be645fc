"""The lean preparation against RecBole's own methods: the same ids, tables, rows and their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from recbole.data.dataset import Dataset, SequentialDataset
from recbole.data.dataset import dataset as recbole_module
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.dataset.fingerprint import split_fingerprint
from recbole_logq.data.dataset.vectorised import LeanMixin
from recbole_logq.data.prepare import create_dataset, split_dataset
from recbole_logq.errors import RequestError

METHODS = ["_load_feat", "_filter_by_inter_num", "_concat_remaped_tokens", "sort", "leave_one_out", "split_by_ratio"]
ALL_COLUMNS = {"load_col": {"inter": "*", "user": "*", "item": "*"}}
TIME_ORDER = {"split": {"LS": "valid_and_test"}, "order": "TO"}
CORE = {"user_inter_num_interval": "[12,60]", "item_inter_num_interval": "[3,inf)"}
SETTINGS: dict[str, dict[str, Any]] = {
    "all columns": ALL_COLUMNS,
    "k-core": CORE,
    "k-core with features": {**ALL_COLUMNS, **CORE},
    "two intervals": {"user_inter_num_interval": "[1,21];(24,inf)"},
    "values": {
        **ALL_COLUMNS,
        "val_interval": {"rating": "[3,5]", "gender": ["F"]},
        "filter_inter_by_user_or_item": True,
    },
    "duplicates": {"rm_dup_inter": "last"},
    "normalised": {**ALL_COLUMNS, "normalize_all": True},
    "RecBole's order": {"recbole_order": True},
    "test only": {"eval_args": {"split": {"LS": "test_only"}, "order": "TO"}},
    "shares of users": {"eval_args": {"split": {"RS": [0.7, 0.1, 0.2]}, "order": "TO", "group_by": "user"}},
    "shares of all": {"eval_args": {"split": {"RS": [8, 1, 1]}, "order": "TO", "group_by": "none"}},
    "small shares": {"eval_args": {"split": {"RS": [0.98, 0.01, 0.01]}, "order": "TO", "group_by": "user"}},
    "temporal": {
        "eval_args": {"split": {"GTS": [0.6, 0.2, 0.2]}, "order": "TO", "unseen": "keep"},
        "item_inter_num_interval": "[2,inf)",
    },
}


@contextmanager
def recboles_methods() -> Iterator[None]:
    """Inside, the mixin is as if it overrode nothing."""
    with pytest.MonkeyPatch.context() as patch:
        for name in METHODS:
            patch.delattr(LeanMixin, name)
        yield


def prepare(model: str, data_path: Path, name: str = "cut", **settings: Any) -> tuple[Any, list[Any]]:
    given = {"data_path": str(data_path), "MAX_ITEM_LIST_LENGTH": 7, "topk": [2], "valid_metric": "MRR@2"}
    config = Config(model, name, None, {**given, "train_neg_sample_args": None, **settings})
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    tables = {name: getattr(dataset, name).copy() for name in dataset.feat_name_list}
    return (dataset, tables), split_dataset(config, dataset)


def assert_same(ours: tuple[Any, list[Any]], theirs: tuple[Any, list[Any]]) -> None:
    (own, own_tables), own_parts = ours
    (recbole, recbole_tables), recbole_parts = theirs
    for name in ("field2type", "field2source", "field2seqlen", "field2token_id"):
        assert getattr(own, name) == getattr(recbole, name), name
    assert own.field2id_token.keys() == recbole.field2id_token.keys()
    for field, tokens in recbole.field2id_token.items():
        assert np.array_equal(own.field2id_token[field], tokens), field
    assert own_tables.keys() == recbole_tables.keys()
    for name, table in recbole_tables.items():
        pd.testing.assert_frame_equal(own_tables[name], table)
    for mine, other in zip(own_parts, recbole_parts, strict=True):
        assert mine.inter_feat.columns == other.inter_feat.columns
        for field in other.inter_feat:
            assert torch.equal(mine.inter_feat[field], other.inter_feat[field]), field
            assert mine.inter_feat[field].dtype == other.inter_feat[field].dtype, field
    for name in ("flat_users", "flat_items"):
        if hasattr(recbole, name):
            assert torch.equal(getattr(own, name), getattr(recbole, name))


@pytest.mark.parametrize("model", ["SASRecCorrectedLogQ", "TwoTowerCorrectedLogQ"])
@pytest.mark.parametrize("settings", SETTINGS.values(), ids=SETTINGS)
def test_tables_and_parts_are_those_of_recboles_methods(ml100k_cut: Path, model: str, settings: dict[str, Any]) -> None:
    settings = {"eval_args": TIME_ORDER, **settings}
    if model.startswith("SASRec"):
        settings = {key: value for key, value in settings.items() if key != "normalize_all"}
    ours = prepare(model, ml100k_cut, **settings)
    with recboles_methods():
        theirs = prepare(model, ml100k_cut, **settings)
    assert_same(ours, theirs)


@pytest.mark.parametrize("model", ["TwoTowerCorrectedLogQ", "BPR"])
@pytest.mark.parametrize("group_by", ["none", "user"])
def test_random_order_too(ml100k_cut: Path, model: str, group_by: str) -> None:
    settings = {"eval_args": {"split": {"RS": [0.8, 0.1, 0.1]}, "order": "RO", "group_by": group_by}, **ALL_COLUMNS}
    ours = prepare(model, ml100k_cut, **settings)
    with recboles_methods():
        theirs = prepare(model, ml100k_cut, **settings)
    assert_same(ours, theirs)


@pytest.mark.parametrize(("model", "recbole"), [("SASRec", SequentialDataset), ("BPR", Dataset)])
def test_recboles_models_have_the_dataset_of_recbole_itself(
    ml100k_cut: Path, model: str, recbole: type[Dataset]
) -> None:
    ours, parts = prepare(model, ml100k_cut, eval_args=TIME_ORDER, recbole_order=True, **ALL_COLUMNS)
    plain = recbole(ours[0].config)
    assert not isinstance(plain, LeanMixin)
    for field, tokens in plain.field2id_token.items():
        assert np.array_equal(ours[0].field2id_token[field], tokens), field
    for own, other in zip(parts, plain.build(), strict=True):
        for field in other.inter_feat:  # ours has more: where a history ends
            assert torch.equal(own.inter_feat[field], other.inter_feat[field]), field


def test_tokens_of_several_columns_share_ids_in_recboles_order(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    rows = ["b\tx\tc\t1", "a\ty\t\t2", "c\tx\tb\t3", "\tx\ta\t4", "a\tz\td\t5", "b\tz\te\t6"]
    (folder / "net.inter").write_text("user_id:token\titem_id:token\tfriend:token\ttimestamp:float\n" + "\n".join(rows))
    (folder / "net.user").write_text("user_id:token\tage:float\tgroup:token\nf\t1\tq\nb\t2\t\na\t\tp\nb\t9\tr\n")
    (folder / "net.item").write_text("item_id:token\ttags:token_seq\tsize:float_seq\nz\tt u\t1 2.5\nx\t\t\nw\tv t\t3\n")
    settings = {**ALL_COLUMNS, "alias_of_user_id": ["friend"], "eval_args": TIME_ORDER}
    ours = prepare("TwoTowerCorrectedLogQ", tmp_path, "net", **settings)
    with recboles_methods():
        theirs = prepare("TwoTowerCorrectedLogQ", tmp_path, "net", **settings)
    assert_same(ours, theirs)
    assert list(ours[0][0].field2id_token["user_id"]) == ["[PAD]", "b", "a", "c", "f", "d", "e"]


def test_names_that_recbole_had_are_given_back(write_dataset: Callable[..., Path]) -> None:
    before = (recbole_module.pd, recbole_module.Counter)
    path = write_dataset("tiny", [("a", "x", 1.0), ("a", "y", "no number")])  # type: ignore[list-item]
    with pytest.raises(RequestError, match="timestamp:float"):
        prepare("SASRecCorrectedLogQ", path, "tiny")
    assert (recbole_module.pd, recbole_module.Counter) == before == (pd, Counter)


@pytest.mark.slow
def test_the_fingerprint_of_ml_100k_stays(in_tmp: Path) -> None:
    ours = prepare("SASRecCorrectedLogQ", in_tmp, "ml-100k")
    with recboles_methods():
        theirs = prepare("SASRecCorrectedLogQ", in_tmp, "ml-100k")
    assert split_fingerprint(ours[1]) == split_fingerprint(theirs[1])
