"""Disks that are full or read-only, data that is gone, interruptions, and many runs at once."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from recbole_logq import run
from recbole_logq.cli import main
from recbole_logq.errors import WorkError

SETTINGS: dict[str, Any] = {"data_path": "data", "epochs": 2, "state": "ERROR", "show_progress": False}
WORDS = ["--model=TwoTowerLogQ", "--dataset=tiny", "--data_path=data", "--state=ERROR", "--show_progress=false"]


@pytest.fixture
def started(in_tmp: Path, tiny: str) -> str:
    """The last state of a run of two epochs, in the folder of the test."""
    folder = in_tmp / "data" / "tiny"
    folder.mkdir(parents=True)
    (folder / "tiny.inter").write_text(tiny)
    return run("TwoTowerLogQ", "tiny", config_dict=SETTINGS)["checkpoint"].replace(".pth", "-last.pth")


def kept() -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in Path("saved").iterdir()}


@contextmanager
def files_up_to(size: int) -> Iterator[None]:
    """No file of this process grows beyond ``size`` bytes: to a writer, a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
    return said


def test_a_full_disk(started: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = kept()
    capsys.readouterr()
    with files_up_to(min(map(len, before.values())) // 2):
        status = main([*WORDS, "--epochs=4", f"--resume={started}"])
    said = one_line(capsys)
    assert status == 1
    assert "cannot write the checkpoint saved/" in said
    assert os.strerror(errno.EFBIG) in said
    assert "free some space" in said
    assert kept() == before
    assert main([*WORDS, "--epochs=4", f"--resume={started}"]) == 0  # and goes on once there is space


def test_a_result_that_does_not_fit(started: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out.json").write_text("{}")
    capsys.readouterr()
    with files_up_to(300):
        status = main(["evaluate", f"--checkpoint={started}", "--output=out.json", "--state=CRITICAL"])
    assert status == 1
    assert f"cannot write {Path('out.json').absolute()}" in one_line(capsys)
    assert Path("out.json").read_text() == "{}"


def test_a_folder_that_became_read_only(
    started: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = kept()

    def refuse(*_: Any, **__: Any) -> Any:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(os, "replace", refuse)  # whoever tests as root may write everywhere
    capsys.readouterr()
    assert main([*WORDS, "--epochs=4", f"--resume={started}"]) == 1
    assert "Read-only file system" in one_line(capsys)
    assert kept() == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder(started: str, capsys: pytest.CaptureFixture[str]) -> None:
    Path("shut").mkdir(mode=0o500)
    capsys.readouterr()
    assert main([*WORDS, "--checkpoint_dir=shut"]) == 1
    assert "shut" in one_line(capsys)


def test_a_dataset_that_is_gone(started: str, capsys: pytest.CaptureFixture[str]) -> None:
    before = kept()
    shutil.rmtree("data")
    capsys.readouterr()
    for words in ([*WORDS, f"--resume={started}"], ["evaluate", f"--checkpoint={started}", "--state=ERROR"]):
        assert main(words) == 2
        assert "no data set 'tiny'. Own files go to data/tiny/tiny.inter" in one_line(capsys)
    assert kept() == before


@pytest.mark.parametrize("where", ["second epoch", "test"])
def test_ctrl_c_says_how_to_go_on(started: str, where: str) -> None:
    whole = run("TwoTowerLogQ", "tiny", config_dict=SETTINGS)

    def interrupt(trainer: Any, loaders: Any) -> None:
        name = "_train_epoch" if where == "second epoch" else "evaluate"
        method, calls = getattr(trainer, name), 0

        def interrupted(data: Any, *args: Any, **kwargs: Any) -> Any:
            nonlocal calls
            calls += 1
            if (calls == 2 and name == "_train_epoch") or data is loaders[2]:
                raise KeyboardInterrupt
            return method(data, *args, **kwargs)

        setattr(trainer, name, interrupted)

    with pytest.raises(WorkError, match="interrupted; go on with --resume=") as caught:
        run("TwoTowerLogQ", "tiny", config_dict=SETTINGS, callback=interrupt)
    resumed = run("TwoTowerLogQ", "tiny", config_dict=SETTINGS, resume=str(caught.value).partition("--resume=")[2])
    assert resumed["test_result"] == whole["test_result"]
    assert [row["train_loss"] for row in resumed["history"]] == [row["train_loss"] for row in whole["history"]]


def test_pickles_that_recbole_would_load_are_not(started: str) -> None:
    import pickle

    class Trap:
        def __reduce__(self) -> Any:
            return (Path.touch, (Path("ran"),))

    for name in ("tiny-Dataset.pth", "tiny-SequentialDataset.pth", "tiny-for-BPR-dataloader.pth"):
        Path("saved", name).write_bytes(pickle.dumps(Trap()))
    for model in ("TwoTowerLogQ", "SASRecLogQ", "BPR"):
        run(model, "tiny", config_dict={**SETTINGS, "epochs": 1})
    assert not Path("ran").exists()


@pytest.mark.slow
def test_eight_runs_at_once_in_one_folder(killer: Any, tmp_path: Path, tiny: str) -> None:
    data = tmp_path / "data" / "tiny"
    data.mkdir(parents=True)
    (data / "tiny.inter").write_text(tiny)
    found = killer({"model": "TwoTowerLogQ", "settings": SETTINGS, "together": 8, "data": str(data.parent)})
    assert found["ended"] == [0] * 8
    results = [json.loads(text) for text in found["results"]]
    assert len({result["checkpoint"] for result in results}) == 8
    assert len(found["files"]) == 16  # a best model and a last state each, and nothing else
    assert len(found["logs"]) == 8
    assert all(text.count("test result") == 1 and text.count("epoch 0 training") == 1 for text in found["logs"])
    assert all(result["test_result"] == results[0]["test_result"] for result in results)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device of Linux")
@pytest.mark.parametrize("words", [["--help"], pytest.param(["models"], marks=pytest.mark.slow)], ids=" ".join)
def test_a_full_disk_under_standard_output(words: list[str]) -> None:
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "recbole_logq", *words], stdout=full, stderr=subprocess.PIPE)
    assert done.returncode == 1
    assert done.stderr.decode().startswith("error: cannot write what ")
    assert b"No space left on device; free some space" in done.stderr
    assert done.stderr.count(b"\n") == 1
