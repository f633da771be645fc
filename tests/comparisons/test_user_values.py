"""Values of users: from rows of real rankings, and joined by the users' names."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_logq import run
from recbole_logq.comparisons.comparison import _say_what_is_not_tested, differences
from recbole_logq.comparisons.one_run import _measured, execute
from recbole_logq.comparisons.user_values import CommonUsers, mean_by_user
from recbole_logq.errors import RequestError
from recbole_logq.experiment.plan import make_plan
from recbole_logq.training import ranking

LAST = {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}
IN_TIME = {"split": {"RS": [0.5, 0.1, 0.4]}, "order": "TO", "mode": "full"}
AT_RANDOM = {"split": {"RS": [0.5, 0.1, 0.4]}, "order": "RO", "mode": "full"}
QUIET: dict[str, Any] = {"state": "ERROR", "show_progress": False, "metric_decimal_place": 8}


@pytest.fixture
def shuffled(write_dataset: Callable[..., Path]) -> Path:
    """Users who come in one order in the file and in another one in time; all end with one of two items."""
    noise = random.Random(5)
    users = [f"{n:03}" for n in range(60)]  # text, which numbers would not come back from
    begin = {user: 1000.0 * place for place, user in enumerate(noise.sample(users, len(users)))}
    rows = []
    for n, user in enumerate(users):
        items = noise.sample([f"i{k}" for k in range(40)], 5)
        # Half of the users have the item that is by far the most popular in training, the others in the test.
        items = [items[0], "hit", *items[2:], f"rare{n}"] if n % 2 else [*items, "hit"]
        rows += [(user, item, begin[user] + step) for step, item in enumerate(items)]
    return write_dataset("tiny", rows)


def measured(model: str, folder: Path, **settings: Any) -> tuple[dict[str, Any], Any, Any]:
    """The values of a record; the trainer and the loaders."""
    seen: list[Any] = []
    given = {**QUIET, "data_path": str(folder), "epochs": 1, "topk": [5], "metrics": ["NDCG", "Recall"], **settings}
    given = {"valid_metric": "Recall@5", "filter_history": True, "train_batch_size": 32, **given}
    run(model, "tiny", config_dict=given, saved=False, callback=lambda *both: seen.extend(both))
    trainer, loaders = seen
    return _measured(trainer, loaders[0], loaders[2]), trainer, loaders


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "split"),
    [("BPR", AT_RANDOM), ("Pop", LAST), ("TwoTowerUniform", IN_TIME), ("SASRecUniform", IN_TIME), ("GRU4Rec", IN_TIME)],
    ids=str,
)
def test_values_are_those_of_the_users_targets(in_tmp: Path, shuffled: Path, model: str, split: dict[str, Any]) -> None:
    more = {"loss_type": "BPR"} if model == "GRU4Rec" else {}
    record, trainer, (_, _, test) = measured(model, shuffled, eval_args=split, **more)
    data, best = test._dataset, ranking.rank(trainer.model.eval(), test, 5).items.tolist()
    users, items = (data.inter_feat[field].tolist() for field in (data.uid_field, data.iid_field))
    names = data.field2id_token[data.uid_field]
    row_of = {user: row for row, user in enumerate(sorted(set(users)))}  # of general models, a row a user
    sequential = model in {"SASRecUniform", "GRU4Rec"}
    found: dict[str, list[bool]] = {}
    for place, (user, item) in enumerate(zip(users, items, strict=True)):
        found.setdefault(str(names[user]), []).append(item in best[place if sequential else row_of[user]])
    assert dict(zip(record["users"], record["per_user"]["recall@5"], strict=True)) == pytest.approx(
        {user: np.mean(hits) for user, hits in found.items()}, abs=1e-5
    )
    assert len(record["users"]) == 60
    assert max(map(len, found.values())) == (1 if split is LAST else 2)


def test_models_of_all_kinds_end_in_one_comparison(in_tmp: Path, shuffled: Path) -> None:
    """All find the popular item and nothing else, so that no user differs; joined by position, half of them would."""
    models = {
        "Pop": {},
        "SASRecUniform": {"epochs": 12, "learning_rate": 0.01},
        "TwoTowerUniform": {"epochs": 12, "learning_rate": 0.05, "user_tower": "history"},
    }
    records = []
    for model, settings in models.items():
        values, _, _ = measured(model, shuffled, eval_args=LAST, **settings)
        records.append({"name": model, "dataset": "tiny", "seed": 1, **values})
    hit = {f"{n:03}" for n in range(60) if n % 2 == 0}
    for record in records:
        found = {user for user, value in zip(record["users"], record["per_user"]["recall@5"], strict=True) if value}
        assert found <= hit
        assert len(found) > 20
    assert records[0]["measures"]["targets_by_decile"] == records[1]["measures"]["targets_by_decile"]
    plan = make_plan([], {"models": list(models), "dataset": "tiny", "seeds": 1})
    for row in differences(plan, records):
        if row["metric"] == "recall@5":
            half = (row["high"] - row["low"]) / 2
            # Of differences of 0 and -1: as wide as the difference itself says, and no wider.
            share = -row["difference"]
            assert half == pytest.approx(2.001 * (share * (1 - share) / 59) ** 0.5, rel=0.01, abs=1e-9)
            assert row["users"] == 60


def test_why_there_are_no_values_is_kept(in_tmp: Path, shuffled: Path) -> None:
    record, _, _ = measured("BPR", shuffled, eval_args={**LAST, "mode": "uni20"}, filter_history=None)
    assert record == {"measures": {}, "unranked": "only some items are ranked", "users": [], "per_user": {}}
    record, _, _ = measured("BPR", shuffled, eval_args=LAST, metrics=["NDCG", "Recall", "GAUC"])
    assert record["unranked"] is None  # a metric of another kind takes nothing away
    assert len(record["users"]) == 60


@pytest.mark.parametrize("model", ["Pop", "ItemKNN"])
def test_one_ranking_gives_the_metrics_and_the_values_of_users(in_tmp: Path, ml100k_cut: Path, model: str) -> None:
    """Both models have many equal scores, whose order depends on how many items are asked for."""
    settings = {**QUIET, "data_path": str(ml100k_cut), "eval_args": LAST, "topk": [10], "metrics": ["NDCG", "Recall"]}
    settings |= {"valid_metric": "NDCG@10"}
    spec = {"name": model, "model": model, "dataset": "cut", "seed": 1, "settings": {**settings, "epochs": 1}}
    record = execute({**spec, "sources": [], "command": "", "data_path": str(ml100k_cut)})
    metrics, measures = record["result"]["test_result"], record["measures"]
    for name, values in record["per_user"].items():
        assert np.mean(values) == pytest.approx(metrics[name], abs=1e-5)
    assert measures["recall@10"] == pytest.approx(metrics["recall@10"], abs=1e-7)
    assert 0 < metrics["recall@10"] < measures["recall@100"]  # which is of a ranking of its own


def test_the_mean_of_a_users_rows() -> None:
    values = torch.tensor([1.0, 0.0, 0.5, 1.0, 0.0, 0.0])
    assert mean_by_user(values, torch.tensor([7, 3, 3, 7, 7, 9])).tolist() == pytest.approx([0.25, 2 / 3, 0])


def record(name: str, seed: int, values: dict[str, float]) -> dict[str, Any]:
    found = {"ndcg@10": list(values.values())}
    return {"name": name, "dataset": "d", "seed": seed, "users": list(values), "per_user": found}


BASE = {"a": 0.1, "b": 0.5, "c": 0.3, "d": 0.0, "e": 0.2, "f": 0.4}
PLAN = make_plan([], {"models": "A,B,C", "dataset": "d", "seeds": 3})


def backwards(values: dict[str, float], add: float = 0.0) -> dict[str, float]:
    return {user: values[user] + add for user in reversed(values)}


def test_models_are_paired_by_seed_and_user() -> None:
    noise = {seed: 0.01 * seed for seed in (1, 2, 3)}
    records = [record("A", seed, backwards(BASE, noise[seed])) for seed in (1, 2, 3)]
    records += [
        record("B", seed, {user: value + 0.2 + noise[seed] for user, value in BASE.items()}) for seed in (3, 1, 2)
    ]
    records += [record("C", seed, BASE) for seed in (1, 2)]  # a seed is missing
    (found,) = differences(PLAN, records)
    assert (found["name"], found["verdict"], found["users"], found["users_left_out"]) == ("B", "better", 6, 0)
    assert [found["difference"], found["low"], found["high"]] == pytest.approx([0.2] * 3)


def test_users_of_some_seeds_only_are_left_out_and_counted() -> None:
    """A random split over all interactions tests other users under each seed."""
    tested = {1: "abcde", 2: "bcdef", 3: "fedcb"}
    records = [
        record(name, seed, {user: BASE[user] + add for user in users})
        for name, add in (("A", 0.0), ("B", 0.1))
        for seed, users in tested.items()
    ]
    (found,) = differences(PLAN, records)
    assert (found["users"], found["users_left_out"]) == (4, 2)
    assert found["difference"] == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda one: one["users"].__setitem__(0, "z"), r"A \(seed 2\) has 6 .* B \(seed 2\) 6, .*'a' is one of A"),
        (lambda one: one.update(users=one["users"][1:]), "6 test users and .* 5, .*'a' is one of A"),
        (lambda one: one["users"].append("z"), r"6 test users and .* 7, .*'z' is one of B \(seed 2\) alone"),
        (lambda one: one["per_user"].pop("ndcg@10"), r"B \(seed 2\) has no ndcg@10"),
    ],
)
def test_other_users_are_refused(change: Callable[[Any], Any], message: str) -> None:
    records = [record(name, seed, BASE) for name in "AB" for seed in (1, 2, 3)]
    records[4]["per_user"]["recall@10"] = records[4]["per_user"]["ndcg@10"]
    change(records[4])
    with pytest.raises(RequestError, match=message) as error:
        differences(PLAN, records)
    assert "\n" not in str(error.value)


def test_what_is_not_tested_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    unranked = {"name": "C", "dataset": "d", "seed": 1, "users": [], "per_user": {}, "unranked": "C scores pairs only"}
    records = [record("A", seed, BASE) for seed in (1, 2)] + [record("B", 1, BASE), unranked]
    records += [record("D", seed, BASE) for seed in (1, 2)]
    plan = make_plan([], {"models": "A,B,C,D", "dataset": "d", "seeds": 2})
    _say_what_is_not_tested(plan, records, differences(plan, records))
    assert capsys.readouterr().out.splitlines() == [
        "d: no verdict on B: it or the reference lacks seeds, users or values of users",
        "d: no verdict on C: C scores pairs only",
    ]
    records = [record(name, seed, dict(list(BASE.items())[seed:])) for name in "AB" for seed in (1, 2)]
    _say_what_is_not_tested(plan, records, differences(plan, records))
    assert capsys.readouterr().out == "d: users tested under some seeds only, who are left out: 1\n"


def test_a_hundred_thousand_users_are_joined_in_no_time() -> None:
    names = [f"user {n}" for n in range(100_000)]
    values = np.random.default_rng(1).random(len(names)).round(5)
    one = {seed: {"users": names, "per_user": {"x": values.tolist()}} for seed in (1, 2)}
    order = np.random.default_rng(2).permutation(len(names))
    moved = {"users": [names[n] for n in order], "per_user": {"x": values[order].tolist()}}
    common = CommonUsers({"one": one, "two": {1: moved, 2: moved}})
    assert (common.matrix(one, "x") == common.matrix({1: moved, 2: moved}, "x")).all()
