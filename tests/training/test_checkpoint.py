"""Checkpoints are plain, atomic, and refuse what is not theirs."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recbole_logq.errors import RequestError, WorkError
from recbole_logq.training import checkpoint

CONTENT: dict[str, Any] = {
    "config": {"model": "BPR", "dataset": "cut"},
    "given": {},
    "fingerprint": {"train": "0", "valid": "1", "test": "2"},
    "id_fingerprint": "3",
    "epoch": 0,
    "cur_step": 0,
    "best_valid_score": -float("inf"),
    "best_valid_result": {},
    "best_epoch": None,
    "stopped": False,
    "best_file": "a.pth",
    "history": [],
    "spent": (0.0, 0.0, 0),
    "state_dict": {"weight": torch.arange(3.0)},
    "other_parameter": {},
    "optimizer": {"state": {}, "param_groups": [{"params": [0], "lr": 0.001}]},
    "random": checkpoint.random_state(),
    "loader": [],
}


def test_round_trip(tmp_path: Path) -> None:
    checkpoint.save(CONTENT, tmp_path / "a.pth")
    assert torch.equal(checkpoint.load(tmp_path / "a.pth")["state_dict"]["weight"], torch.arange(3.0))
    assert [file.name for file in tmp_path.iterdir()] == ["a.pth"]


class Trap:
    def __reduce__(self) -> Any:
        return (Path.touch, (Path("ran"),))


def test_code_in_a_checkpoint_does_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    torch.save({**CONTENT, "trap": Trap()}, tmp_path / "a.pth")
    with pytest.raises(RequestError, match="more than values and tensors"):
        checkpoint.load(tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(RequestError):
        checkpoint.load(tmp_path / "b.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("damage", [b"", b"PK\x03\x04 broken", None])
def test_damaged_files(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "a.pth"
    checkpoint.save(CONTENT, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(RequestError, match=r"a\.pth"):
        checkpoint.load(path)


def test_missing_and_foreign_files(tmp_path: Path) -> None:
    with pytest.raises(RequestError, match="no checkpoint at"):
        checkpoint.load(tmp_path / "none.pth")
    torch.save({"something": 1}, tmp_path / "a.pth")
    with pytest.raises(RequestError, match="not a checkpoint of recbole_logq"):
        checkpoint.load(tmp_path / "a.pth")


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pth"
    checkpoint.save(CONTENT, path)
    before = path.read_bytes()

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full)
    with pytest.raises(WorkError, match="No space left"):
        checkpoint.save(CONTENT, path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["a.pth"]


def test_random_state_round_trip_through_a_file(tmp_path: Path) -> None:
    import random

    random.gauss(0, 1)
    np.random.standard_normal()  # leaves a cached second value, which must survive
    checkpoint.save({**CONTENT, "random": checkpoint.random_state()}, tmp_path / "a.pth")
    expected = (torch.rand(3).tolist(), np.random.standard_normal(3).tolist(), random.gauss(0, 1))
    torch.rand(5), np.random.rand(5), random.random()
    checkpoint.set_random_state(checkpoint.load(tmp_path / "a.pth")["random"])
    assert (torch.rand(3).tolist(), np.random.standard_normal(3).tolist(), random.gauss(0, 1)) == expected


def test_plain() -> None:
    value = {"a": np.float64(0.5), "b": [np.int64(3)], "c": (np.bool_(True),), "d": None}
    plain = checkpoint.plain(value)
    assert plain == {"a": 0.5, "b": [3], "c": (True,), "d": None}
    assert type(plain["a"]) is float
    assert type(plain["b"][0]) is int


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epoch": "3"}, r"a\.pth is damaged: epoch is not"),
        ({"config": {"model": "BPR"}}, r"a\.pth is damaged: it has no config\.dataset"),
        ({"optimizer": None}, r"a\.pth is damaged: optimizer is not"),
    ],
)
def test_every_part_is_there_and_of_its_kind(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    checkpoint.save({**CONTENT, **change}, tmp_path / "a.pth")
    with pytest.raises(RequestError, match=message):
        checkpoint.load(tmp_path / "a.pth")


def test_a_flipped_bit_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    checkpoint.save(CONTENT, path)
    whole = bytearray(path.read_bytes())
    place = whole.find(np.float32(2).tobytes())  # one of the weights: torch alone would load 0.0 there
    whole[place + 3] ^= 0x40
    path.write_bytes(whole)
    assert torch.load(path, weights_only=True)["state_dict"]["weight"].tolist() == [0, 1, 0]
    with pytest.raises(RequestError, match=r"a\.pth is damaged"):
        checkpoint.load(path)


def test_weights_that_are_no_numbers_are_refused() -> None:
    from types import SimpleNamespace

    model = torch.nn.Linear(2, 1)
    state = {"state_dict": {"weight": torch.tensor([[1.0, float("nan")]]), "bias": torch.zeros(1)}}
    both = SimpleNamespace(
        load_state_dict=model.load_state_dict,
        load_other_parameter=lambda _: None,
        named_parameters=model.named_parameters,
        state_dict=model.state_dict,
        modules=model.modules,
    )
    with pytest.raises(RequestError, match=r"a\.pth is damaged: weight has values that are no finite numbers"):
        checkpoint.load_weights(both, {**state, "other_parameter": {}}, "a.pth")
