"""A sweep's file, and the records of its trials while it runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

GOOD, BAD, BROKEN = [0.05, 0.03], [1e-5, 2e-5, 3e-5], 1e36
"""Learning rates."""


def _records(folder: Path) -> list[dict[str, Any]]:
    records = [json.loads(file.read_text(encoding="utf-8")) for file in folder.glob("*/records/*.json")]
    return sorted(records, key=lambda record: record["number"])


def _over(folder: Path) -> dict[Path, int]:
    files = {}
    for file in folder.glob("*/records/*.json"):
        if json.loads(file.read_text(encoding="utf-8"))["status"] in {"done", "stopped", "failed"}:
            files[file] = file.stat().st_mtime_ns
    return files


def _running(folder: Path) -> list[dict[str, Any]]:
    return [record for record in _records(folder) if record["status"] == "running" and record["folder"]]


@pytest.fixture
def trials() -> SimpleNamespace:
    """Trials of the sweep in a folder: ``records(folder)`` of all; ``running(folder)``, records of those that have been
    validated and go on; ``over(folder)``, files of those that are over, with when they were written.
    """
    return SimpleNamespace(records=_records, running=_running, over=_over, broken=BROKEN)


@pytest.fixture
def write_sweep(tmp_path: Path, ml100k_cut: Path) -> Callable[..., str]:
    """``write_sweep(**changes)`` writes ``sweep.yaml`` and gives the flag that names it."""

    def write(**changes: Any) -> str:
        settings = {"data_path": str(ml100k_cut), "epochs": 6, "topk": [5], "metrics": ["NDCG"]}
        settings |= {"valid_metric": "NDCG@5", "similarity": "dot", "train_batch_size": 256}
        settings |= {"metric_decimal_place": 12, "stopping_step": 100}
        content = {"model": "TwoTowerLogQ", "dataset": "cut", "search": "grid", "scheduler": {"grace_period": 2}}
        content |= {"space": {"learning_rate": [*GOOD, BROKEN, *BAD]}, **changes}
        content["settings"] = {**settings, **changes.get("settings", {})}
        (tmp_path / "sweep.yaml").write_text(yaml.safe_dump(content), encoding="utf-8")
        return "--config_files=sweep.yaml"

    return write
