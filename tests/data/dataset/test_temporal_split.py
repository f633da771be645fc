"""The global temporal split on a few users, every part worked out by hand."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run
from recbole_logq.config import Config
from recbole_logq.data.dataset.fingerprint import split_fingerprint
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.errors import RequestError
from tests.data.batches.test_ranking_loader import ranked

# Training before 100, validation from 100, test from 200. In file order, which is not time order.
ROWS = [
    ("b", "i1", 210.0),
    ("a", "i1", 10.0),
    ("a", "i2", 20.0),
    ("a", "i3", 110.0),
    ("a", "i4", 120.0),
    ("a", "i2", 220.0),
    ("a", "i1", 200.0),  # at the cut: test
    ("a", "i5", 230.0),
    ("b", "i3", 30.0),
    ("b", "i4", 99.0),
    ("b", "i2", 100.0),  # at the cut: validation
    ("c", "i1", 40.0),
    ("c", "i5", 50.0),
    ("d", "i1", 150.0),  # a user that training never saw
    ("d", "i2", 240.0),
    ("a", "new", 205.0),  # an item that training never saw
    ("b", "new", 300.0),
]
TRAIN = {"a": ["i1", "i2"], "b": ["i3", "i4"], "c": ["i1", "i5"]}
BY_HAND = {
    "last": ({"a": ["i4"], "b": ["i2"]}, {"a": ["i5"], "b": ["i1"]}),
    "first": ({"a": ["i3"], "b": ["i2"]}, {"a": ["i1"], "b": ["i1"]}),
    "all": ({"a": ["i3", "i4"], "b": ["i2"]}, {"a": ["i1", "i2", "i5"], "b": ["i1"]}),
}
TRAINING = [row for row in ROWS if row[2] < 100]
SEQUENTIAL = {"SASRec", "SASRecCorrectedLogQ"}
MODELS = ["BPR", "TwoTowerCorrectedLogQ", "SASRec", "SASRecCorrectedLogQ"]


def prepare(data_path: Path, model: str, cuts: list[Any], **settings: Any) -> tuple[Config, Any, list[Any]]:
    eval_args = {"split": {"GTS": cuts}, "order": "TO"}
    eval_args |= {key: settings.pop(key) for key in ("targets", "unseen") if key in settings}
    given = {"data_path": str(data_path), "topk": [2], "valid_metric": "MRR@2", "eval_args": eval_args, **settings}
    if model == "SASRec":
        given["train_neg_sample_args"] = None
    config = Config(model, "tiny", None, given)
    dataset = create_dataset(config)
    return config, dataset, split_dataset(config, dataset)


def pairs(part: Any) -> dict[str, list[str]]:
    found: dict[str, list[tuple[float, str]]] = {}
    users, items = part.inter_feat["user_id"].tolist(), part.inter_feat["item_id"].tolist()
    for user, item, time in zip(users, items, part.inter_feat["timestamp"].tolist(), strict=True):
        row = (time, str(part.field2id_token["item_id"][item]))
        found.setdefault(str(part.field2id_token["user_id"][user]), []).append(row)
    return {user: [item for _, item in sorted(rows)] for user, rows in found.items()}


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize("targets", BY_HAND)
def test_parts_by_hand(write_dataset: Callable[..., Path], model: str, targets: str) -> None:
    _, dataset, parts = prepare(write_dataset("tiny", ROWS), model, [100, 200], targets=targets)
    train, valid, test = map(pairs, parts)
    first = 1 if model in SEQUENTIAL else 0  # a sequential model has no row for a user's first item
    assert train == {user: items[first:] for user, items in TRAIN.items()}
    assert (valid, test) == BY_HAND[targets]
    assert "new" not in dataset.field2id_token["item_id"]  # no ranking knows of it
    counts = dataset.temporal_split.counts
    assert counts["of users without training interactions"] == 2
    assert counts["of items without training interactions"] == 2


@pytest.mark.parametrize("targets", ["last", "first"])
def test_general_and_sequential_models_share_test_sets_and_histories(
    write_dataset: Callable[..., Path], targets: str
) -> None:
    path = write_dataset("tiny", ROWS)
    seen, prints = [], []
    for model in MODELS:
        config, dataset, parts = prepare(path, model, [100, 200], targets=targets, filter_history=True)
        loaders = create_loaders(config, dataset, parts)
        users, items = dataset.field2id_token["user_id"], dataset.field2id_token["item_id"]
        rows = ranked(loaders[2], dataset.item_num).items()
        seen.append(
            {
                str(users[key[0] if isinstance(key, tuple) else key]): tuple(
                    sorted(str(items[item]) for item in ids) for ids in row
                )
                for key, row in rows
            }
        )
        prints.append({key: value for key, value in split_fingerprint(parts).items() if key != "train"})
    before = {"last": ["i1", "i2", "i3", "i4"], "first": ["i2", "i3", "i4"]}[targets]
    expected = {"a": (before, ["i5"] if targets == "last" else ["i1"]), "b": (["i2", "i3", "i4"], ["i1"])}
    assert seen == [expected] * len(MODELS)
    assert prints == [prints[0]] * len(MODELS)


def test_unseen_users_and_items_on_request(write_dataset: Callable[..., Path]) -> None:
    _, _, parts = prepare(write_dataset("tiny", ROWS), "BPR", [100, 200], unseen="keep", targets="all")
    assert pairs(parts[0]) == TRAIN
    assert pairs(parts[1])["d"] == ["i1"]
    assert pairs(parts[2]) == {"a": ["i1", "new", "i2", "i5"], "b": ["i1", "new"], "d": ["i2"]}


def test_filters_count_training_only(write_dataset: Callable[..., Path]) -> None:
    # Over all time i2, i4 and i5 have two interactions too; before the first cut only i1 and i3 have.
    rows = [*ROWS, ("c", "i3", 60.0)]
    settings = {"item_inter_num_interval": "[2,inf)", "targets": "all"}
    _, dataset, parts = prepare(write_dataset("tiny", rows), "BPR", [100, 200], **settings)
    assert pairs(parts[0]) == {"a": ["i1"], "b": ["i3"], "c": ["i1", "i3"]}
    assert pairs(parts[2]) == {"a": ["i1"], "b": ["i1"]}
    assert sorted(dataset.field2id_token["item_id"]) == ["[PAD]", "i1", "i3"]


def test_recboles_popularity_sampler_knows_training_only(write_dataset: Callable[..., Path]) -> None:
    arguments = {"distribution": "popularity", "sample_num": 1, "alpha": 1.0}
    path = write_dataset("tiny", [*ROWS, ("e", "i6", 1.0)])  # no user has everything
    config, dataset, parts = prepare(path, "BPR", [100, 200], train_neg_sample_args=arguments, targets="all")
    sampler = create_loaders(config, dataset, parts)[0]._sampler
    counts = {str(dataset.field2id_token["item_id"][item]) for item in sampler.prob}
    assert counts == {"i1", "i2", "i3", "i4", "i5", "i6"}
    assert len(sampler._get_candidates_list()) == sum(map(len, TRAIN.values())) + 1


def test_a_user_who_had_everything_is_said(write_dataset: Callable[..., Path]) -> None:
    config, dataset, parts = prepare(write_dataset("tiny", ROWS), "BPR", [100, 200], targets="all")
    with pytest.raises(RequestError, match="cannot sample negatives on tiny: Some users have interacted with all"):
        create_loaders(config, dataset, parts)


@pytest.mark.parametrize("unseen", ["drop", "keep"])
def test_features_follow_the_items_that_stay(write_dataset: Callable[..., Path], unseen: str) -> None:
    path = write_dataset("tiny", [*ROWS, ("b", "i5", 60.0)])
    # "feature" is an item that only the item file knows; "new" is one that training never saw.
    features = "".join(f"{name}\tc{name}\n" for name in ("i1", "i2", "i3", "i4", "i5", "new", "feature"))
    (path / "tiny" / "tiny.item").write_text("item_id:token\tclass:token\n" + features)
    settings: dict[str, Any] = {
        "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "class"]}
    }
    settings |= {"item_inter_num_interval": "[2,inf)", "unseen": unseen, "targets": "all"}
    _, dataset, _ = prepare(path, "BPR", [100, 200], **settings)
    # Before the cut i1 and i5 have two interactions, the others one each: the filter takes those out, for good.
    kept = {"i1", "i5", "new"} if unseen == "keep" else {"i1", "i5"}
    names = [str(token) for token in dataset.field2id_token["item_id"]]
    assert set(names) == {"[PAD]", *kept}
    classes = dataset.item_feat["class"].tolist()
    assert {names[item]: str(dataset.field2id_token["class"][classes[item]]) for item in range(1, len(names))} == {
        name: f"c{name}" for name in kept
    }


def test_shares_cut_at_quantiles_and_keep_ties_together(write_dataset: Callable[..., Path]) -> None:
    rows = [("a", f"i{n}", float(n // 2)) for n in range(20)]  # times 0, 0, 1, 1, ... 9, 9
    _, dataset, _ = prepare(write_dataset("tiny", rows), "BPR", [0.55, 0.2, 0.25], unseen="keep")
    assert (dataset.temporal_split.valid_from, dataset.temporal_split.test_from) == (5.0, 7.0)


def test_dates_are_utc(write_dataset: Callable[..., Path]) -> None:
    rows = [("a", f"i{n}", 946684800.0 + n * 43200) for n in range(8)]  # from 2000-01-01, every 12 hours
    path = write_dataset("tiny", rows)
    settings = {"unseen": "keep", "targets": "all"}
    _, _, parts = prepare(path, "BPR", ["2000-01-02", "2000-01-03T12:00:00+00:00"], **settings)
    assert [pairs(part)["a"] for part in parts] == [["i0", "i1"], ["i2", "i3", "i4"], ["i5", "i6", "i7"]]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"eval_args.split": {"GTS": [0.9]}}, "GTS=[0.9]: give shares"),
        ({"eval_args.split": {"GTS": [0.9, 0.1, 0]}}, "shares are above 0"),
        ({"eval_args.split": {"GTS": [200, 100]}}, "validation begins before test"),
        ({"eval_args.split": {"GTS": ["2000-13-01", 3]}}, "neither a number nor a date"),
        ({"eval_args.split": {"GTS": [1, 2]}, "eval_args.targets": "best"}, "one of last, first, all"),
        ({"eval_args.split": {"GTS": [1, 2]}, "eval_args.order": "RO"}, "needs eval_args.order=TO"),
        ({"eval_args.split": {"GTS": [1, 2]}, "recbole_order": True}, "RecBole has no GTS split"),
        ({"eval_args.targets": "last"}, "unknown setting eval_args.targets"),
        ({"eval_args.split": {"GTS": [1, 2], "LS": "test_only"}}, "one way to split, not several"),
        ({"eval_args.split": {"GTS": [float("inf"), 1, 1]}}, "shares are above 0"),
        ({"eval_args.split": {"GTS": [1, 2]}, "rm_dup_inter": "last"}, "set rm_dup_inter=first"),
        ({"eval_args.split": {"GTS": [1, 2]}, "numerical_features": ["timestamp"]}, "numerical_features: timestamp"),
        ({"model": "DeepFM", "eval_args.split": {"GTS": [1, 2]}}, "general and sequential models only"),
    ],
    ids=str,
)
def test_bad_requests(settings: dict[str, Any], message: str) -> None:
    model = settings.pop("model", "BPR")
    metrics = {"metrics": ["AUC"], "valid_metric": "AUC"} if model == "DeepFM" else {}
    with pytest.raises(RequestError, match=re.escape(message)):
        Config(model, "ml-100k", None, {**settings, **metrics})


def test_cuts_outside_the_data_are_refused(write_dataset: Callable[..., Path]) -> None:
    path = write_dataset("tiny", ROWS)
    for cuts in ([1, 2], [500, 600]):
        with pytest.raises(RequestError, match="times of tiny go from 10 to 300, which leaves nothing"):
            prepare(path, "BPR", cuts)


def test_only_unseen_users_after_the_cut_is_said(write_dataset: Callable[..., Path]) -> None:
    with pytest.raises(RequestError, match=r"1 of users without training interactions; eval_args\.unseen=keep"):
        prepare(write_dataset("tiny", [*TRAINING, ("z", "i1", 300.0)]), "BPR", [100, 200])


@pytest.mark.parametrize("model", ["BPR", "SASRecCorrectedLogQ"])
def test_it_trains_and_reports(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    settings = {"data_path": str(ml100k_cut), "eval_args.split": {"GTS": [0.7, 0.1, 0.2]}, "epochs": 1}
    settings["eval_args.unseen"] = "keep"  # nearly all users of this cut come and go within days
    result = run(model, "cut", config_dict={**settings, "show_progress": False, "topk": [5], "valid_metric": "MRR@5"})
    assert result["protocol"]["split"] == {"GTS": [0.7, 0.1, 0.2]}
    assert result["protocol"]["averaged_over"] == "users"
    assert result["test_result"]["recall@5"] >= 0
