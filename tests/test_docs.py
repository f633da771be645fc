"""The code in the documentation runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run
from recbole_logq.registry import losses, samplers

DOCS = Path(__file__).parent.parent / "docs"


def code(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


def test_the_plain_example_learns_and_needs_no_recbole(tmp_path: Path) -> None:
    (block,) = code("plain-pytorch.md")
    assert len([line for line in block.splitlines() if line.strip()]) <= 35
    (tmp_path / "recbole.py").write_text("raise ImportError('not needed')")
    (tmp_path / "example.py").write_text(block)
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = re.fullmatch(r"loss ([\d.]+), mean sample weight ([\d.]+)\n", done.stdout)
    assert found
    assert float(found[1]) < 5.2  # log 199 = 5.29 is where it starts
    assert 0 < float(found[2]) < 1


@pytest.fixture
def registered() -> Any:
    """The documented loss and sampler, for one test."""
    scope: dict[str, Any] = {}
    for block in code("extend.md"):
        exec(block, scope)
    yield scope
    for registry, name in ((losses, "half_logq"), (samplers, "head")):
        registry._entries.pop(name)
        registry._summaries.pop(name)


def test_a_loss_and_a_sampler_of_ones_own(in_tmp: Path, ml100k_cut: Path, registered: dict[str, Any]) -> None:
    settings: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "loss": "half_logq"}
    settings |= {"negatives": {"source": "head", "count": 20, "top": 30}}
    result = run("TwoTowerInBatch", "cut", config_dict=settings, saved=False)
    assert result["parameters"]["negatives"] == {"source": "head", "count": 20, "top": 30}
    assert result["history"][0]["train_loss"] > 0


def test_vectors_of_new_items(in_tmp: Path, build: Any, featured_cut: Path) -> None:
    network, _, loaders = build("TwoTowerLogQ", data_path=str(featured_cut), item_features=["class"])
    (in_tmp / "new.item").write_text("item_id:token\tclass:token_seq\nnew\tDrama War\n")
    scope = {"network": network, "dataset": loaders[0].dataset}
    (block,) = code("features.md")
    exec(block, scope)
    assert scope["names"] == ["new"]
    assert scope["vectors"].shape == network.item_vectors(None)[:1].shape


def test_the_example_of_a_mapped_file(tmp_path: Path) -> None:
    (block,) = code("scale.md")
    (tmp_path / "recbole.py").write_text("raise ImportError('not needed')")
    (tmp_path / "example.py").write_text(block + "print(len(query), cache.n_users)\n")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows, users = map(int, done.stdout.split())
    assert 0 < rows <= 512
    assert users == 10_000
