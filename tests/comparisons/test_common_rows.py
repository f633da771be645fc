"""What would be measured differently is refused before anything is trained, with advice that can be followed."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import compare
from recbole_logq.comparisons.common_rows import check_common_rows
from recbole_logq.comparisons.comparison import _check
from recbole_logq.errors import RequestError, WorkError
from recbole_logq.experiment.plan import make_plan
from recbole_logq.parsing import parse_arguments
from recbole_logq.sweeps.sweep_check import check as check_sweep
from recbole_logq.sweeps.sweep_plan import make_sweep

SEVERAL = [(f"u{n}", f"i{(n * 3 + k) % 13}", 100.0 * k + n) for n in range(12) for k in range(10)]
BASE: dict[str, Any] = {"models": "BPR,SASRecUniform", "dataset": "tiny", "seeds": 2, "topk": [5]}
BASE |= {"valid_metric": "NDCG@5", "metrics": ["NDCG"], "epochs": 10_000, "state": "ERROR"}
PARTS = {"benchmark_filename": ["train", "valid", "test"]}
MANY = "averaged_over is users and targets"


def write_parts(folder: Path, test: list[tuple[str, str]]) -> None:
    rows = {"train": [row[:2] for row in SEVERAL if row[2] < 800], "valid": [(f"u{n}", "i2") for n in range(12)]}
    for part, pairs in {**rows, "test": test}.items():
        lines = ["user_id:token\titem_id:token", *("\t".join(pair) for pair in pairs)]
        (folder / "tiny" / f"tiny.{part}.inter").write_text("\n".join(lines) + "\n")


def check(options: dict[str, Any]) -> None:
    for configs in _check(make_plan([], options)).values():
        check_common_rows(configs)


@pytest.mark.parametrize(
    "split",
    [
        {"split": {"RS": [0.5, 0.1, 0.4]}, "order": "TO"},
        {"split": {"TS": [0.5, 0.1, 0.4]}, "order": "TO"},
        {"split": {"GTS": [0.5, 0.1, 0.4]}, "targets": "all"},
    ],
    ids=str,
)
def test_several_targets_of_a_user(in_tmp: Path, write_dataset: Callable[..., Path], split: dict[str, Any]) -> None:
    options = {**BASE, "data_path": str(write_dataset("tiny", SEVERAL))}
    with pytest.raises(RequestError, match=rf"BPR .* and SASRecUniform .* {MANY}; one has several targets") as error:
        compare(None, {**options, "eval_args": split})
    assert not (in_tmp / "comparisons").exists()  # it has not even begun
    advice = dict(re.findall(r'--(eval_args\.\w+)="?([^",]+)', str(error.value)))
    given = parse_arguments([f"--{key}={value}" for key, value in advice.items() if key != "eval_args.targets"])
    assert {"eval_args.split", "eval_args.order"} <= advice.keys()
    check({**options, **given})
    check({**options, "models": "BPR,ItemKNN", "eval_args": split})  # models of one kind


def test_several_targets_in_a_ready_made_split(in_tmp: Path, write_dataset: Callable[..., Path]) -> None:
    folder = write_dataset("tiny", SEVERAL)
    options = {**BASE, **PARTS, "data_path": str(folder)}
    write_parts(folder, [(f"u{n}", item) for n in range(12) for item in ("i5", "i6")])
    with pytest.raises(RequestError, match=rf"{MANY}; .*keep one row of each user in the file of the test") as error:
        compare(None, options)
    assert "eval_args" not in str(error.value)  # which nothing but a cut of its own reads
    assert not (in_tmp / "comparisons").exists()
    write_parts(folder, [(f"u{n}", "i5") for n in range(12)])
    check(options)


@pytest.mark.parametrize("ready_made", [False, True])
def test_users_who_are_too_short(in_tmp: Path, write_dataset: Callable[..., Path], ready_made: bool) -> None:
    folder = write_dataset("tiny", [*SEVERAL, ("short", "i1", 1.0), ("short", "i2", 2.0)])
    options = {**BASE, "data_path": str(folder), **(PARTS if ready_made else {})}
    write_parts(folder, [*((f"u{n}", "i5") for n in range(12)), ("new", "i6")])
    if not ready_made:
        options["eval_args"] = {"split": {"LS": "test_only"}, "order": "TO"}
        (folder / "tiny" / "tiny.inter").write_text((folder / "tiny" / "tiny.inter").read_text() + "single\ti3\t5\n")
    with pytest.raises(RequestError, match=r"have different test sets .* users are too short") as error:
        compare(None, options)
    advice = re.search(r'--(user_inter_num_interval)="(.*)"', str(error.value))
    assert advice
    check({**options, advice[1]: advice[2]})


def test_winners_of_a_sweep_are_of_the_same_rows_too(in_tmp: Path, write_dataset: Callable[..., Path]) -> None:
    options = {**BASE, "models": ["BPR", "SASRecUniform"], "data_path": str(write_dataset("tiny", SEVERAL))}
    options = {key: value for key, value in options.items() if key != "seeds"}
    options["space"] = {"learning_rate": {"uniform": [0.1, 0.2]}}
    configs = check_sweep(make_sweep([], options))
    before = {name: config.plain() for name, config in configs.items()}
    check_common_rows(list(configs.items()))
    assert {name: config.plain() for name, config in configs.items()} == before  # the search goes on with them
    with pytest.raises(RequestError, match=MANY):
        check_sweep(make_sweep([], {**options, "eval_args": {"split": {"RS": [0.5, 0.1, 0.4]}, "order": "TO"}}))


def test_models_of_one_kind_read_no_data(write_dataset: Callable[..., Path], in_tmp: Path) -> None:
    folder = write_dataset("tiny", SEVERAL)
    options = {**BASE, "data_path": str(folder)}
    configs = _check(make_plan([], {**options, "models": "BPR,ItemKNN,TwoTowerUniform"}))["tiny"]
    mixed = _check(make_plan([], options))["tiny"]
    shutil.rmtree(folder)
    check_common_rows(configs)
    with pytest.raises((RequestError, WorkError), match="tiny"):
        check_common_rows(mixed)


@pytest.mark.parametrize(
    ("one", "message"),
    [
        ({"grade_field": "grade"}, "different test sets"),
        ({"negatives": {"source": "observed", "field": "grade", "below": 1, "count": 2}}, "different test sets"),
        ({"item_text": ["title"]}, "items is 14 and 13"),
    ],
    ids=str,
)
def test_what_takes_rows_or_adds_items_to_one_model(
    in_tmp: Path, write_dataset: Callable[..., Path], one: dict[str, Any], message: str
) -> None:
    folder = write_dataset("tiny", SEVERAL)
    file = folder / "tiny" / "tiny.inter"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    lines = [f"{head}\tgrade:float", *(f"{row}\t{n % 3}" for n, row in enumerate(rows))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    titles = ["item_id:token\ttitle:token", *(f"i{n}\tfilm {n}" for n in range(14))]
    (folder / "tiny" / "tiny.item").write_text("\n".join(titles) + "\n", encoding="utf-8")
    split = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    options = {**BASE, "data_path": str(folder), "eval_args": split}
    options["models"] = [{"name": "with", "model": "TwoTowerBPR", **one}, {"name": "plain", "model": "TwoTowerBPR"}]
    with pytest.raises(RequestError, match=rf"with \(seed 1\) and plain \(seed 1\) .*{message}"):
        compare(None, options)
    assert not (in_tmp / "comparisons").exists()


def test_graded_data_is_compared(in_tmp: Path, write_dataset: Callable[..., Path]) -> None:
    """Impressions for one model, none for the others: one test set, that of positives."""
    folder = write_dataset("tiny", SEVERAL)
    file = folder / "tiny" / "tiny.inter"
    head, *rows = file.read_text(encoding="utf-8").splitlines()
    lines = [f"{head}\tgrade:float\tpage:token", *(f"{row}\t{n % 3}\tp{n % 10 // 5}" for n, row in enumerate(rows))]
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    options = {
        **BASE,
        "data_path": str(folder),
        "epochs": 1,
        "seeds": 1,
        "grade_field": "grade",
        "show_progress": False,
    }
    options["eval_args"] = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    shown = {"impression_field": "page", "negatives": {"source": "impression", "count": 4}}
    options["models"] = [{"name": "shown", "model": "TwoTowerBPR", **shown}, {"model": "SASRecBPR", **shown}, "Pop"]
    compare(None, options)
    results = [json.loads(file.read_text()) for file in (in_tmp / "comparisons").rglob("runs/*.json")]
    assert len(results) == 3
    assert len({stored["result"]["fingerprint"]["test"] for stored in results}) == 1
