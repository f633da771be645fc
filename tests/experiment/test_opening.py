"""How a run begins: lines that matter on the screen, everything in the log file, results on standard output."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from recbole_logq.cli import main
from recbole_logq.compat import apply

NAMES = ["model", "loss", "negatives", "training", "measured", "device", "log", "data", "split", "split fingerprint:"]


def shown(text: str) -> list[str]:
    """What the screen shows before the first epoch, without time and level; a bar is overwritten."""
    head = text.partition("epoch 0 training")[0]
    lines = [line.rpartition("\r")[2] for line in head.splitlines() if "interactions of" not in line]
    return [line.split("INFO  ", 1)[1] for line in lines if "INFO  " in line]


@pytest.fixture
def words(ml100k_cut: Path) -> list[str]:
    quiet = ["--show_progress=false", "--diagnostics=false", "--epochs=1", "--topk=[5]", "--valid_metric=NDCG@5"]
    return ["--model=TwoTowerMNSCorrectedLogQ", "--dataset=cut", f"--data_path={ml100k_cut}", *quiet]


def test_ten_lines_and_a_table(in_tmp: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words, "--negatives.count=32"]) == 0
    captured = capsys.readouterr()
    lines = shown(captured.err)[:10]
    assert [line for line, name in zip(lines, NAMES, strict=True) if not line.startswith(name)] == []
    for part in (
        "TwoTowerMNSCorrectedLogQ: encoder TwoTower, recipe MNSCorrectedLogQ",
        "corrected_logq; score: cosine over temperature 0.2",
        "mixed, 32 a pool, uniform_share 0.5; never a negative: the positive",
        "up to 1 epochs, 2,048 rows a step, adam at 0.001, seed 2020",
        "NDCG@5 every epoch, over all items",
        "cut: 45 users,",
        "shares [0.8, 0.1, 0.1], in random order; rows: train ",
    ):
        assert sum(part in line for line in lines) == 1, part
    log = next(Path("log").rglob("*.log"))
    assert str(log) in captured.err
    content = log.read_text(encoding="utf-8")
    # The dump of settings and the network are for the file.
    for text in ("General Hyper Parameters", "uniform_share", "Trainable parameters", "[Training]"):
        assert text in content
    for text in ("General Hyper Parameters", "Trainable parameters", "[Training]"):
        assert text not in captured.err
    assert "\x1b" not in captured.err + captured.out
    # RecBole's lines stay.
    for text in (r"epoch 0 training \[", r"epoch 0 evaluating \[", r"best valid ", r"test result"):
        assert re.search(text, captured.err)
        assert re.search(text, content)
    result = re.search(r"test result: \{.*'ndcg@5': ([\d.]+)", captured.err)
    assert result
    assert re.search(rf"│ ndcg@5 +│ +[\d.]+ │ +{result[1]} │", captured.out)
    assert "INFO" not in captured.out


def test_all_of_it_at_debug_and_the_result_alone_at_error(
    in_tmp: Path, words: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*words, "--state=DEBUG"]) == 0
    assert "General Hyper Parameters" in capsys.readouterr().err
    for log in Path("log").rglob("*.log"):
        log.unlink()
    assert main([*words, "--state=ERROR"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert "ndcg@5" in captured.out
    assert next(Path("log").rglob("*.log")).read_text(encoding="utf-8") == ""


def test_names_of_bars_are_coloured_on_a_terminal_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    apply()
    from recbole.trainer.trainer import set_color

    monkeypatch.setattr(sys.stderr, "isatty", lambda: False, raising=False)
    assert set_color("Train", "pink") == "Train"
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    assert "\x1b[" in set_color("Train", "pink")
