"""Made-up records of runs, complete enough for a report."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import pytest

MakeRecord = Callable[..., dict[str, Any]]


def _history(level: float, epochs: int, weights: bool, noise: random.Random) -> list[dict[str, Any]]:
    history = []
    for epoch in range(epochs):
        one: dict[str, Any] = {"epoch": epoch, "train_loss": 6 / (epoch + 1)}
        one |= {"train_seconds": 2.0 * (epoch + 1), "train_cpu_seconds": 1.9 * (epoch + 1)}
        if epoch % 2:
            one["valid_score"] = level * (1 - math.exp(-epoch / 4)) + noise.gauss(0, 0.002)
        if weights:
            middle = 0.95 - 0.4 * epoch / epochs
            deciles = {f"d{d}": min(middle + (d - 50) / 250, 1.0) for d in range(10, 100, 10)}
            one["sample_weight"] = {"mean": middle, **deciles}
        history.append(one)
    return history


def _record(
    name: str = "A",
    seed: int = 1,
    ndcg: float = 0.1,
    dataset: str = "world",
    status: str = "done",
    weights: bool = False,
    epochs: int = 10,
) -> dict[str, Any]:
    noise = random.Random(f"{name} {seed} {dataset}")
    command = f'recbole-logq --model={name} --dataset={dataset} --seed={seed} --negatives.alpha="0.75"'
    record = {"name": name, "model": name, "dataset": dataset, "seed": seed, "status": status, "command": command}
    if status != "done":
        return {**record, "error": f"WorkError: the loss of {name} became nan", "measures": {}, "result": None}
    measures = {
        "recall@100": ndcg * 4,
        "coverage@10": 0.2 + noise.random() / 5,
        "gini@10": 0.8,
        "average_popularity@10": 123.4,
        "novelty@10": 8.5,
        "recall@10_by_decile": [ndcg * decile / 5 for decile in range(10)],
        "targets_by_decile": [0, *range(1, 10)],
    }
    history = _history(ndcg, epochs, weights, noise)
    result = {
        "model": name,
        "dataset": dataset,
        "seed": seed,
        "test_result": {"recall@10": ndcg * 2, "ndcg@10": ndcg},
        "best_valid_result": {"ndcg@10": ndcg},
        "valid_score_bigger": True,
        "parameters": {"valid_metric": "NDCG@10"},
        "history": history,
        "seconds": {"data": 0.5, "train": 2.5 * epochs, "test": 0.2},
        "train_cpu_seconds": history[-1]["train_cpu_seconds"],
        "positives_per_second": 30000.0 + 100 * seed,
        "peak_memory_mb": 612.3,
        "fingerprint": {"train": "1a", "valid": "2b", "test": f"3c-{dataset}"},
        "protocol": {"split": {"LS": "valid_and_test"}, "order": "exact", "ranking": "full", "items": 1682},
        "versions": {"python": "3.12.1", "torch": "2.9.0"},
        "given": {"negatives": {"alpha": 0.75}},
        "best_epoch": epochs - 1,
    }
    values = {"users": list("abcde"), "per_user": {"ndcg@10": [noise.random() for _ in range(5)]}}
    return {**record, "error": None, "measures": measures, **values, "result": result}


@pytest.fixture
def make_record() -> MakeRecord:
    """``make_record(name, seed, ndcg, dataset, status, weights, epochs)``, all with defaults."""
    return _record


@pytest.fixture
def comparison() -> Callable[..., dict[str, Any]]:
    """``comparison(name, reference)``: what a test of two labels found, any field replaced by name."""

    def make(name: str, reference: str, **fields: Any) -> dict[str, Any]:
        found = {"name": name, "reference": reference, "metric": "ndcg@10", "difference": 0.02, "low": 0.01}
        return {
            **found,
            "high": 0.03,
            "users": 6040,
            "p_users": 0.00001,
            "p_seeds": 0.0123,
            "verdict": "better",
            **fields,
        }

    return make


@pytest.fixture
def records() -> list[dict[str, Any]]:
    """Two data sets, nine labels, three seeds, names as people and attackers write them; some runs failed."""
    names = ["TwoTowerCorrectedLogQ", "SASRecCorrectedLogQ with a label that goes on and on, for many words", "BPR"]
    names += ["<script>alert(1)</script>", "a|b `c` [d](javascript:e) 'f' \"g\" & h", "LightGCN", "Pop", "X", "Y"]
    found = [
        _record(name, seed, 0.05 + 0.01 * place + 0.001 * seed, dataset, weights="Corrected" in name)
        for dataset in ("ml-100k", "world")
        for place, name in enumerate(names)
        for seed in (1, 2, 3)
    ]
    found += [_record("BPR", 4, status="failed", dataset="world"), _record("Gone", 1, status="failed", dataset="world")]
    return found
