"""RecBole's range files."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from recbole_logq.errors import RequestError
from recbole_logq.sweeps.params_file import read_params_file
from recbole_logq.sweeps.space import parse_space


def write(folder: Path, text: str) -> Path:
    path = folder / "hyper.test"
    path.write_text(text, encoding="utf-8")
    return path


def test_recboles_own_form(tmp_path: Path) -> None:
    text = """learning_rate loguniform -8, 0
embedding_size choice [64,96 , 128]
mlp_hidden_size choice ['[64, 64, 64]','[128,128]']
loss_type choice ["BPR", None]
dropout_prob uniform 0.0,1

# a comment
train_batch_size quniform 512,2048,512
"""
    found = read_params_file(write(tmp_path, text))
    assert found["learning_rate"]["loguniform"] == pytest.approx([math.exp(-8), 1.0])
    assert found["embedding_size"] == {"choice": [64, 96, 128]}
    assert found["mlp_hidden_size"] == {"choice": [[64, 64, 64], [128, 128]]}
    assert found["loss_type"] == {"choice": ["BPR", None]}
    assert found["dropout_prob"] == {"uniform": [0.0, 1.0]}
    assert found["train_batch_size"] == {"quniform": [512, 2048, 512]}
    assert len(parse_space(found)) == 6


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no parameter"),
        ("learning_rate", "line 1: .*`name kind values`"),
        ("a choice [1]\na choice [2]", "line 2: a stands there twice"),
        ("a chioce [1]", "unknown kind 'chioce'"),
        ("a choice 3", "a list"),
        ("a uniform 0;1", "numbers, separated by commas"),
        ("a loguniform 0,1000", "e to that power"),
    ],
)
def test_refusals(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(RequestError, match=message):
        read_params_file(write(tmp_path, text))


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="cannot read the range file"):
        read_params_file(tmp_path / "none")


def test_nothing_is_evaluated(tmp_path: Path) -> None:
    target = tmp_path / "ran"
    found = read_params_file(write(tmp_path, f"a choice [\"__import__('os').mkdir('{target}')\", 1]"))
    assert found["a"]["choice"][1] == 1
    assert not target.exists()
