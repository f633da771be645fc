"""What is said of a run that ended badly."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_logq.comparisons.runs import failure_reason

CUDA = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
torch.AcceleratorError: CUDA error: an illegal memory access was encountered
For debugging consider passing CUDA_LAUNCH_BLOCKING=1

"""
BARE = 'Traceback (most recent call last):\n  File "x.py", line 1, in <module>\nAssertionError\n'


@pytest.mark.parametrize(
    ("log", "status", "expected"),
    [
        ("epoch 1\nerror: no such column\n", 2, "no such column"),
        (CUDA, 1, "exit status 1; LOG ends with: torch.AcceleratorError: CUDA error: an illegal memory access was"),
        (BARE, 1, "exit status 1; LOG ends with: AssertionError"),
        ("epoch 1\n\n", 3, "exit status 3; LOG ends with: epoch 1"),
        (CUDA + "epoch 2\n", -9, "killed by signal 9 (out of memory?); LOG ends with: epoch 2"),
        ("epoch 2\n", -15, "killed by signal 15; LOG ends with: epoch 2"),
        ("", 1, "exit status 1; LOG ends with: -"),
    ],
)
@pytest.mark.parametrize("earlier", ["", "error: größer\n", CUDA])
def test_the_line_that_tells(tmp_path: Path, earlier: str, log: str, status: int, expected: str) -> None:
    file = tmp_path / "output.log"
    file.write_text(earlier + log, encoding="utf-8")
    found = failure_reason(file, len(earlier.encode()), status)
    assert found.replace(str(file), "LOG").startswith(expected)
