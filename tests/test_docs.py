"""The code in the documentation runs."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run
from recbole_logq.models.resolve import recipes
from recbole_logq.registry import encoders
from recbole_logq.registry import recipes as registered_recipes

DOCS = Path(__file__).parent.parent / "docs"
README = (DOCS.parent / "README.md").read_text(encoding="utf-8")


def code(name: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", (DOCS / name).read_text(encoding="utf-8"), re.DOTALL)


@pytest.mark.slow
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


def test_what_can_be_ones_own(own_code: Path, ml100k_cut: Path) -> None:
    (own_code / "my_own.py").write_text("\n".join(code("extend.md")), encoding="utf-8")
    settings: dict[str, Any] = {"data_path": str(ml100k_cut), "epochs": 1, "show_progress": False, "state": "WARNING"}
    settings |= {"plugins": "my_own.py", "metrics": ["NDCG", "FirstThree"], "valid_metric": "FirstThree@10"}
    negatives = {"source": "head", "count": 20, "top": 30}
    result = run("DecayedMeanHalfLogQ", "cut", config_dict={**settings, "negatives": negatives, "half_life": 3})
    stored = result["parameters"]
    assert (stored["negatives"], stored["half_life"], stored["loss"]) == (negatives, 3.0, "half_logq")
    assert result["history"][0]["train_loss"] > 0
    assert result["best_valid_score"] == result["best_valid_result"]["firstthree@10"]
    (documented,) = (block for block in code("extend.md") if "load(" in block)
    scope: dict[str, Any] = {}
    exec(documented, scope)
    assert scope["embeddings"](result["checkpoint"]).shape[1] == 64
    assert run("MyBPR", "cut", config_dict=settings, saved=False)["test_result"].keys() == result["test_result"].keys()


def test_the_readme_has_a_complete_loss(own_code: Path, ml100k_cut: Path) -> None:
    (block,) = (block for block in re.findall(r"```python\n(.*?)```", README, re.DOTALL) if "my_loss" in block)
    (own_code / "my_loss.py").write_text(block, encoding="utf-8")
    settings = {"data_path": str(ml100k_cut), "epochs": 1, "state": "WARNING", "show_progress": False}
    settings |= {"plugins": "my_loss.py", "loss": "my_loss"}
    assert run("TwoTowerInBatch", "cut", config_dict=settings, saved=False)["history"][0]["train_loss"] > 0


def test_vectors_of_new_items(in_tmp: Path, build: Any, featured_cut: Path) -> None:
    network, _, loaders = build("TwoTowerLogQ", data_path=str(featured_cut), item_features=["class"])
    (in_tmp / "new.item").write_text("item_id:token\tclass:token_seq\nnew\tDrama War\n")
    scope = {"network": network, "dataset": loaders[0].dataset}
    (block,) = code("features.md")
    exec(block, scope)
    assert scope["names"] == ["new"]
    assert scope["vectors"].shape == network.item_vectors(None)[:1].shape


@pytest.mark.slow
def test_the_example_of_a_mapped_file(tmp_path: Path) -> None:
    (block,) = code("scale.md")
    (tmp_path / "recbole.py").write_text("raise ImportError('not needed')")
    (tmp_path / "example.py").write_text(block + "print(len(query), cache.n_users)\n")
    done = subprocess.run([sys.executable, "example.py"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    rows, users = map(int, done.stdout.split())
    assert 0 < rows <= 512
    assert users == 10_000


def test_the_readme_names_every_encoder_and_recipe() -> None:
    section = README.partition("\n## Choose a recipe\n")[2].partition("\n## ")[0]
    described = re.findall(r"^- `(\w+?)(?:\.\.\.)?`: ", section, re.MULTILINE)
    assert sorted(described) == [name for name in encoders.names() if encoders.packaged(name)]
    table = [line.split("|")[1] for line in section.splitlines() if line.startswith("| `")]
    listed = [name for cell in table for name in re.findall(r"`(\w+)`", cell)]
    assert sorted(listed) == sorted(name for name in recipes() if registered_recipes.packaged(name))
