"""One count of items for all models on a split, whatever rows a model makes of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.dataset.item_counts import item_counts
from recbole_logq.data.prepare import create_dataset, split_dataset

# Users of every length, a first item that all have, ties, and one who begins late.
ROWS = [
    (f"u{user}", "first" if n == 0 else f"i{(user * 3 + n * n) % 9}", 100.0 * n + user % 4)
    for user in range(12)
    for n in range(1 + user % 7)
]
ROWS += [("late", f"i{n}", 5000.0 + n) for n in range(4)]
SPLITS = [
    {"split": {"LS": "valid_and_test"}, "order": "TO"},
    {"split": {"LS": "test_only"}, "order": "TO"},
    {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO"},
    {"split": {"RS": [0.6, 0.2, 0.2]}, "order": "TO", "group_by": "none"},
    {"split": {"TS": [0.6, 0.2, 0.2]}, "order": "TO"},
    {"split": {"GTS": [0.6, 0.2, 0.2]}, "unseen": "keep"},
    {"split": {"GTS": [0.6, 0.2, 0.2]}, "targets": "all"},
]


def training(model: str, folder: Path, **settings: Any) -> Any:
    given = {"data_path": str(folder), "state": "ERROR", "topk": [1], "valid_metric": "MRR@1", **settings}
    if model == "SASRec":
        given["train_neg_sample_args"] = None
    config = Config(model, "tiny", None, given)
    init_seed(config["seed"], True)
    return split_dataset(config, create_dataset(config))[0]


@pytest.mark.parametrize("split", SPLITS, ids=str)
def test_sequential_models_count_what_general_models_train_on(
    write_dataset: Callable[..., Path], in_tmp: Path, split: dict[str, Any]
) -> None:
    folder = write_dataset("tiny", ROWS)
    general = training("BPR", folder, eval_args={**split, "mode": "full"})
    counts = item_counts(general)
    names = general.field2id_token["item_id"]
    rows = Counter(str(names[item]) for item in general.inter_feat["item_id"].tolist())
    assert {str(names[item]): count for item, count in enumerate(counts.tolist()) if count} == rows
    for model in ("SASRecUniform", "SASRec", "TwoTowerUniform"):
        part = training(model, folder, eval_args={**split, "mode": "full"})
        assert torch.equal(item_counts(part), counts), model
        if model.startswith("SASRec"):
            assert len(part.inter_feat) < counts.sum()  # its own rows lack users' first items


def test_leave_one_out_by_hand(write_dataset: Callable[..., Path], in_tmp: Path) -> None:
    sequences = {"a": "xyzxw", "b": "xzy", "c": "w"}
    rows = [(user, item, float(n)) for user, items in sequences.items() for n, item in enumerate(items)]
    part = training("SASRecUniform", write_dataset("tiny", rows), eval_args=SPLITS[0])
    names = part.field2id_token["item_id"]
    # a trains on x y z, b on x, c on w.
    assert {str(names[n]): count for n, count in enumerate(item_counts(part).tolist()) if n} == {
        "x": 2,
        "y": 1,
        "z": 1,
        "w": 1,
    }


def test_a_ready_made_split_is_counted_as_it_is(write_dataset: Callable[..., Path], in_tmp: Path) -> None:
    folder = write_dataset("tiny", ROWS)
    file = folder / "tiny" / "tiny.inter"
    head, *lines = file.read_text(encoding="utf-8").splitlines()
    for name, part in (("train", lines), ("valid", lines[:5]), ("test", lines[5:9])):
        (folder / "tiny" / f"tiny.{name}.inter").write_text("\n".join([head, *part]) + "\n", encoding="utf-8")
    for model in ("BPR", "TwoTowerUniform"):
        part = training(model, folder, benchmark_filename=["train", "valid", "test"])
        assert item_counts(part).sum() == len(lines)
