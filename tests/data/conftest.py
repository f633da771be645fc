"""A small log of interactions, whole and cut into the files of a ready-made split."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from recbole.utils import init_seed

HEAD = "user_id:token\titem_id:token\trating:float\ttimestamp:float"
Row = tuple[Any, ...]


@pytest.fixture
def log() -> list[Row]:
    """(user, item, rating, time) of 12 users with 5 to 9 of 15 items, by time; nobody has an item twice."""
    draw = random.Random(3)
    rows = [
        (f"u{user}", f"i{item}", draw.randint(1, 5), 0)
        for user in range(12)
        for item in draw.sample(range(15), draw.randint(5, 9))
    ]
    draw.shuffle(rows)
    return [(*row[:3], 1_000_000_000 + 7 * number) for number, row in enumerate(rows)]


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., str]:
    """``write(rows, kind, head)`` writes data set ``tiny``'s file of that kind and returns the data path."""

    def write_file(rows: Sequence[Row], kind: str = "inter", head: str = HEAD) -> str:
        folder = tmp_path / "data" / "tiny"
        folder.mkdir(parents=True, exist_ok=True)
        lines = [head, *("\t".join(map(str, row)) for row in rows)]
        (folder / f"tiny.{kind}").write_text("\n".join(lines) + "\n", encoding="utf-8")
        return str(folder.parent)

    return write_file


@pytest.fixture
def write_parts(log: list[Row], write: Callable[..., str]) -> Callable[..., str]:
    """Leave-one-out in time as files, and the rows of all parts in ``tiny.inter``; ``change`` gets part and row."""

    def write_files(change: Callable[[str, Row], Row] | None = None) -> str:
        parts: dict[str, list[Row]] = {"train": [], "valid": [], "test": []}
        for user in {row[0]: None for row in log}:
            *earlier, valid, test = (row for row in log if row[0] == user)
            parts["train"] += earlier
            parts["valid"].append(valid)
            parts["test"].append(test)
        for part, rows in parts.items():
            rows.sort(key=lambda row: row[3])
            parts[part] = [change(part, row) for row in rows] if change else rows
            write(parts[part], f"{part}.inter")
        return write([row for rows in parts.values() for row in rows])

    return write_files


@pytest.fixture
def prepare() -> Callable[..., tuple[Any, list[Any], list[Any]]]:
    """``prepare(model, data_path, **settings)`` gives the data set, its parts and their loaders."""
    from recbole_logq.config import Config
    from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset

    def make(model: str, data_path: str, **settings: Any) -> tuple[Any, list[Any], list[Any]]:
        given = {"data_path": data_path, "topk": [2], "valid_metric": "MRR@2", **settings}
        config = Config(model, "tiny", None, given)
        init_seed(config["seed"], True)
        dataset = create_dataset(config)
        parts = split_dataset(config, dataset)
        return dataset, parts, list(create_loaders(config, dataset, parts))

    return make
