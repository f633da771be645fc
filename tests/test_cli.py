"""The command line as a user meets it: real processes, exit status, one clear line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from recbole_logq.cli import main
from recbole_logq.errors import RequestError
from recbole_logq.terminal import READER_GONE, console, reader_gone

ROOT = Path(__file__).parent.parent


def call(*words: str, cwd: Path, entry: tuple[str, ...] = ("-m", "recbole_logq")) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *entry, *words], cwd=cwd, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_run_then_evaluate(
    tmp_path: Path, ml100k_cut: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    script = (str(ROOT / "run_recbole_logq.py"),)
    words = ["--model=TwoTowerCorrectedLogQ", "--dataset=cut", f"--data_path={ml100k_cut}", "--epochs=2"]
    done = call(*words, "--negatives.count=64", "--output=out.json", cwd=tmp_path, entry=script)
    assert done.returncode == 0, done.stderr
    for text in ("epoch 0 training", "epoch 1 evaluating", "best valid", "test result", "split fingerprint"):
        assert text in done.stderr + done.stdout
    assert "64 negatives" in done.stderr
    assert "left" in done.stderr
    result = json.loads((tmp_path / "out.json").read_text(encoding="utf-8"))
    assert result["parameters"]["negatives"]["count"] == 64

    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", f"--checkpoint={result['checkpoint']}", "--output=again.json"]) == 0
    assert "same as the result stored after training" in capsys.readouterr().out
    assert json.loads((tmp_path / "again.json").read_text(encoding="utf-8"))["test_result"] == result["test_result"]


@pytest.mark.parametrize(
    ("words", "status", "message"),
    [
        (["--model=Nope", "--dataset=ml-100k"], 2, "no model named 'Nope'"),
        (["--model", "BPR"], 2, "write --model=VALUE"),
        (["trian"], 2, "no command named 'trian'"),
        (["evaluate"], 2, "set --checkpoint=FILE"),
        (["evaluate", "--checkpoint=none.pth"], 2, "no checkpoint at none.pth"),
        (["--model=BPR", "--dataset=ml-100k", "--output=no/such/folder.json"], 2, "cannot write there"),
        (["--model=BPR", "--dataset=ml-100k", "--resume=none.pth"], 2, "no checkpoint at none.pth"),
        (["--model=BPR", "--dataset=ml-100k", "--config_files=none.yaml"], 2, "cannot read"),
        (["models", "--model=BPR"], 2, "models takes no settings"),
    ],
    ids=str,
)
def test_bad_requests(
    words: list[str], status: int, message: str, in_tmp: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == status
    captured = capsys.readouterr()
    assert message in captured.err
    assert captured.err.startswith("error: ")
    assert captured.err.count("\n") == 1
    assert list(in_tmp.iterdir()) == []  # refused before anything was written


@pytest.mark.slow
def test_no_code_runs_and_no_traceback_in_a_real_process(tmp_path: Path) -> None:
    done = call("--model=BPR", "--dataset=ml-100k", "--epochs=open('ran','w')", cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr.startswith("error: epochs=")
    assert "Traceback" not in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_ctrl_c_names_the_checkpoint_to_go_on_from(commands: Any, tmp_path: Path, ml100k_cut: Path) -> None:
    words = ["--model=TwoTowerLogQ", "--dataset=cut", f"--data_path={ml100k_cut}", "--epochs=100000"]
    process = commands.start(*words, "--stopping_step=100000", "--show_progress=false", cwd=tmp_path)
    while "epoch 2 of" not in process.stderr and process.poll() is None:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    assert process.wait() == 1
    rest = process.stderr
    assert "Traceback" not in rest
    last = rest.strip().splitlines()[-1]
    assert last.startswith("error: interrupted; go on with --resume=saved/")
    assert (tmp_path / last.partition("--resume=")[2]).is_file()


def test_debug_shows_the_traceback(in_tmp: Path) -> None:
    with pytest.raises(ValueError, match="no model named"):
        main(["--model=Nope", "--dataset=ml-100k", "--debug=true"])


def test_models(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["models"]) == 0
    listing = capsys.readouterr().out
    for name in ("CorrectedLogQ", "FullSoftmax", "in_batch_unique", "corrected_logq", "LightGCN"):
        assert name in listing


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["models"], ["settings"]])
def test_a_reader_that_stops_is_no_error(
    words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as output, monkeypatch.context() as patch:
        patch.setattr(sys, "stdout", output)
        assert main(words) == READER_GONE
        print("said in vain, and written when the interpreter ends")
    assert capsys.readouterr().err == ""


def test_an_error_is_a_short_line_of_visible_characters(capsys: pytest.CaptureFixture[str]) -> None:
    for word in ("--epochs=" + "9" * 100_000, "--epochs=\x1b[2J\x9b\u202e", "--\x1b]0;x\a=1", "--dataset=\x1bc"):
        assert main(["--model=BPR", "--dataset=none", word] if "dataset" not in word else ["--model=BPR", word]) == 2
        line = capsys.readouterr().err
        assert line.count("\n") == 1
        assert len(line) < 2100
        assert line[:-1].isprintable()
    with pytest.raises(RequestError):
        main(["--model=\x1b[2J", "--dataset=x", "--debug=true"])
    sys.excepthook(RequestError, RequestError("a\x1b[2Jb"), None)
    assert capsys.readouterr().err.endswith("a\\x1b[2Jb\n")
    sys.excepthook = sys.__excepthook__


def test_a_table_whose_reader_stops() -> None:
    read, write = os.pipe()
    os.close(read)
    output = os.fdopen(write, "w")
    with pytest.raises(BrokenPipeError):
        console(file=output).print("a table")
    with contextlib.suppress(BrokenPipeError):
        output.close()


def test_standard_output_that_is_read_has_a_reader() -> None:
    assert not reader_gone()
