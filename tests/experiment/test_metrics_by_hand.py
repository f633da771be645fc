"""Metrics on a ranking worked out by hand: Pop ranks by training interactions, i6 > i1 > i2 > i3 > i4 > i5."""

from __future__ import annotations

from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run

# In time order; the last item is the test target, the one before it the validation target.
SEQUENCES = {
    "a": ["i1", "i2", "i3", "i5"],
    "b": ["i1", "i2", "i3", "i5", "i4"],
    "c": ["i1", "i3", "i4", "i2", "i5"],
    "d": ["i1", "i2", "i4", "i3"],
    # One interaction is training. Nobody above has had i6, which everybody is recommended first.
    **{f"z{n}": ["i6"] for n in range(7)},
}
ROWS = [(user, item, float(time)) for user, items in SEQUENCES.items() for time, item in enumerate(items)]
SETTINGS: dict[str, Any] = {
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
    "show_progress": False,
    "epochs": 1,
}
# The target's rank, user by user, with the history taken out of the ranking and left in.
FILTERED = {"valid": [2, 3, 2, 3], "test": [3, 2, 2, 2]}
WHOLE = {"valid": [4, 6, 3, 5], "test": [6, 5, 6, 4]}


def expected(ranks: list[int], k: int) -> dict[str, float]:
    hits = [rank for rank in ranks if rank <= k]
    n = len(ranks)
    values = {
        "recall": len(hits) / n,
        "hit": len(hits) / n,
        "mrr": sum(1 / rank for rank in hits) / n,
        "ndcg": sum(1 / log2(rank + 1) for rank in hits) / n,
        "precision": len(hits) / k / n,
    }
    return {f"{name}@{k}": value for name, value in values.items()}


@pytest.mark.parametrize(("history", "batch"), [(None, 2048), (True, 2), (False, 5)])
def test_pop(in_tmp: Path, write_dataset: Callable[..., Path], history: bool | None, batch: int) -> None:
    settings = {
        **SETTINGS,
        "data_path": str(write_dataset("tiny", ROWS[::-1])),  # file order is not time order
        "topk": [1, 2, 3, 5],
        "valid_metric": "MRR@3",
        "metric_decimal_place": 6,
        "filter_history": history,
        "train_batch_size": batch,
    }
    result = run("Pop", "tiny", config_dict=settings)
    ranks = WHOLE if history is False else FILTERED  # RecBole filters the history of general models
    for part in ("valid", "test"):
        found = result["best_valid_result" if part == "valid" else "test_result"]
        for k in (1, 2, 3, 5):
            for name, value in expected(ranks[part], k).items():
                assert found[name] == pytest.approx(value, abs=1e-6), (part, name)
    assert result["protocol"]["filter_history"] is (history is not False)


@pytest.mark.parametrize("batch", [1, 7, 2048])
@pytest.mark.parametrize("sampled", [True, False])
@pytest.mark.parametrize("rated", [True, False])
def test_pop_counts_interactions(
    in_tmp: Path, write_dataset: Callable[..., Path], batch: int, sampled: bool, rated: bool
) -> None:
    folder = write_dataset("tiny", ROWS)
    settings = {
        **SETTINGS,
        "data_path": str(folder),
        "metrics": ["MRR"],
        "topk": [1],
        "valid_metric": "MRR@1",
        "train_batch_size": batch,
    }
    if not sampled:
        settings["train_neg_sample_args"] = None
    if rated:  # an item that was disliked was had all the same
        file = folder / "tiny" / "tiny.inter"
        head, *lines = file.read_text(encoding="utf-8").splitlines()
        rating = [f"{line}\t{place % 5 + 1}" for place, line in enumerate(lines)]
        file.write_text("\n".join([f"{head}\trating:float", *rating]) + "\n", encoding="utf-8")
        settings["load_col"] = {"inter": ["user_id", "item_id", "timestamp", "rating"]}
        settings["threshold"] = {"rating": 4}
    held: dict[str, Any] = {}

    def hold(trainer: Any, loaders: Any) -> None:
        held["model"], held["names"] = trainer.model, loaders[0].dataset.field2id_token["item_id"]

    run("Pop", "tiny", config_dict=settings, callback=hold)
    counts = {name: int(held["model"].item_cnt[place]) for place, name in enumerate(held["names"]) if place}
    assert counts == {"i1": 4, "i2": 3, "i3": 2, "i4": 1, "i5": 0, "i6": 7}
