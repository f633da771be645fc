"""Interactions that say no: which are taken out, and which of them training may know."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from recbole_logq.config import Config
from recbole_logq.data.dataset.fingerprint import split_fingerprint
from recbole_logq.data.prepare import create_dataset, split_dataset
from recbole_logq.errors import RequestError

# user, item, rating, time. a: yes 1 2 3 5, no x at 1.5, y at 4.5 (after its validation target at 3), and item 2 at 2.5.
ROWS = [
    ("a", "1", 5, 1.0),
    ("a", "x", 1, 1.5),
    ("a", "2", 4, 2.0),
    ("a", "2", 2, 2.5),
    ("a", "3", 5, 3.0),
    ("a", "y", 1, 4.5),
    ("a", "5", 3, 5.0),
    ("b", "5", 4, 1.0),
    ("b", "3", 4, 2.0),
    ("b", "1", 4, 3.0),
    ("b", "x", 0, 3.0),  # at the moment of b's validation target: not before it
    ("b", "2", 4, 4.0),
    ("c", "y", 1, 0.5),  # c says no and nothing else
]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data" / "judged"
    folder.mkdir(parents=True)
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += ["\t".join(map(str, row)) for row in ROWS]
    (folder / "judged.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder.parent


def build(data: Path, model: str = "TwoTowerBPR", **settings: Any) -> list[Any]:
    given = {
        "data_path": str(data),
        "topk": [1],
        "valid_metric": "MRR@1",
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "negatives": {"source": "observed", "count": 4, "field": "rating", "below": 3},
    }
    config = Config(model, "judged", None, given | settings)
    return split_dataset(config, create_dataset(config))


def tokens(part: Any, pairs: tuple[torch.Tensor, torch.Tensor]) -> set[tuple[str, str]]:
    users, items = (part.id2token(field, ids) for field, ids in zip(("user_id", "item_id"), pairs, strict=True))
    return set(zip(users.tolist(), items.tolist(), strict=True))


def rows(part: Any) -> set[tuple[str, str]]:
    return tokens(part, (part.inter_feat["user_id"], part.inter_feat["item_id"]))


def test_what_was_refused_is_no_positive_in_any_part(data: Path) -> None:
    train, valid, test = build(data)
    assert rows(train) == {("a", "1"), ("a", "2"), ("b", "5"), ("b", "3")}
    assert rows(valid) == {("a", "3"), ("b", "1")}
    assert rows(test) == {("a", "5"), ("b", "2")}


def test_training_knows_what_was_refused_before_the_users_first_held_out_target(data: Path) -> None:
    train = build(data)[0]
    assert tokens(train, train.training_negatives) == {("a", "x"), ("a", "2"), ("c", "y")}


def test_under_a_random_split_nothing_is_before_anything(data: Path) -> None:
    train = build(data, eval_args={"split": {"RS": [0.6, 0.2, 0.2]}, "order": "RO"})[0]
    assert tokens(train, train.training_negatives) == {("a", "x"), ("a", "2"), ("a", "y"), ("b", "x"), ("c", "y")}


def test_under_a_temporal_split_the_cut_counts(data: Path) -> None:
    # Item 2 is unseen before 2.0, and with unseen: keep it stays.
    arguments = {"split": {"GTS": [2.2, 3.5]}, "order": "TO", "unseen": "keep"}
    train, valid, test = build(data, eval_args=arguments)
    assert rows(train) == {("a", "1"), ("a", "2"), ("b", "5"), ("b", "3")}
    assert tokens(train, train.training_negatives) == {("a", "x"), ("c", "y")}
    assert rows(valid) == {("a", "3"), ("b", "1")}
    assert rows(test) == {("a", "5"), ("b", "2")}


def test_what_was_only_refused_before_the_cut_is_unseen(data: Path) -> None:
    """unseen: drop: x was refused and not taken before the cut, and c took nothing."""
    file = data / "judged" / "judged.inter"
    more = "a\tx\t5\t3.2\nb\tx\t5\t3.8\nc\t1\t5\t3.9\n"
    file.write_text(file.read_text(encoding="utf-8") + more, encoding="utf-8")
    for unseen, news in (("keep", {("a", "x"), ("c", "1")}), ("drop", set())):
        arguments = {"split": {"GTS": [2.2, 3.5]}, "order": "TO", "unseen": unseen}
        _, valid, test = build(data, eval_args=arguments)
        found = rows(valid) | rows(test)
        assert {pair for pair in found if pair[1] == "x" or pair[0] == "c"} == news


def test_sequences_are_those_of_the_positives(data: Path) -> None:
    train, valid, test = build(data, "SASRecBPR")
    reference = build(data)
    assert split_fingerprint([train, valid, test])["test"] == split_fingerprint(reference)["test"]
    assert tokens(train, train.training_negatives) == {("a", "x"), ("a", "2"), ("c", "y")}
    history = test[torch.arange(len(test))]["item_id_list"]
    names = {tuple(test.id2token("item_id", row[row > 0])) for row in history}
    assert names == {("1", "2", "3"), ("5", "3", "1")}


def test_the_threshold_is_meant_as_the_file_has_it(data: Path) -> None:
    """RecBole's normalize_all brings ratings to [0, 1] afterwards."""
    assert rows(build(data, normalize_all=True)[0]) == rows(build(data)[0])


def test_the_sampler_draws_what_the_user_refused(data: Path, write_dataset: Callable[..., Path]) -> None:
    from recbole_logq.data.prepare import create_loaders

    given = {"data_path": str(data), "topk": [1], "valid_metric": "MRR@1", "train_batch_size": 16}
    given |= {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"}}
    given["negatives"] = {"source": "observed", "count": 40, "sampled": 10, "field": "rating", "below": 3}
    config = Config("TwoTowerBCE", "judged", None, given)
    dataset = create_dataset(config)
    parts = split_dataset(config, dataset)
    network = config.model_class(config, parts[0])
    batch = next(iter(create_loaders(config, dataset, parts)[0]))
    pool = network.sample_pool(network.rows(batch))
    assert pool.ids.shape == (4, 40)
    for user, ids in zip(batch["user_id"], pool.ids, strict=True):
        drawn = set(dataset.id2token("item_id", ids[:30]).tolist())
        expected = {"a": {"x", "2"}, "b": {"[PAD]"}}  # b refused nothing in time: no column, only uniform ones
        assert drawn == expected[dataset.id2token("user_id", user)]
        assert (ids[30:] > 0).all()
    loss = network.calculate_loss(batch)
    loss.backward()
    assert loss.item() > 0


@pytest.mark.parametrize(
    ("negatives", "message"),
    [
        ({"field": "stars"}, "has no such column"),
        ({"below": -1}, "has no values below -1, from 0 to 5"),
        ({"below": 9}, "has only values below 9"),
        ({"field": "user_id"}, "declare it as user_id:float"),
        ({"below": 0.5}, "no observed negative lies before"),
        ({"sampled": 1.5}, "sampled must be a whole number"),
    ],
    ids=str,
)
def test_bad_requests(data: Path, negatives: dict[str, Any], message: str) -> None:
    given = {"source": "observed", "count": 4, "field": "rating", "below": 3}
    with pytest.raises(RequestError, match=message):
        build(data, negatives=given | negatives)


def test_a_recipes_count_is_not_meant_for_pools_of_every_row(data: Path) -> None:
    with pytest.raises(RequestError, match=r"set --negatives\.count=8"):
        build(data, negatives={"source": "observed", "field": "rating", "below": 3})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"loss": "corrected_logq"}, "nobody knows the law"),
        ({"loss": "full_softmax"}, "whole catalogue"),
        ({"benchmark_filename": ["train", "valid", "test"]}, "ready-made split"),
        ({"recbole_order": True}, "needs the exact time"),
        ({"numerical_features": ["timestamp"]}, "as it is in the file"),
        ({"hits": "kept", "allow_crossed": True}, "leave hits out"),
    ],
)
def test_losses_that_need_a_law_are_refused(data: Path, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(RequestError, match=message):
        build(data, **settings)
