"""What is said of a run that ended badly."""

from __future__ import annotations

from pathlib import Path

import pytest

from recbole_logq.experiment.pool import why

CUDA = """Traceback (most recent call last):
  File "x.py", line 1, in <module>
torch.AcceleratorError: CUDA error: an illegal memory access was encountered
For debugging consider passing CUDA_LAUNCH_BLOCKING=1

"""


@pytest.mark.parametrize(
    ("log", "status", "expected"),
    [
        ("epoch 1\nerror: no such column\n", 2, "no such column"),
        (
            CUDA,
            1,
            "exit status 1; LOG says: torch.AcceleratorError: CUDA error: an illegal memory access was encountered",
        ),
        ("epoch 1\n\n", 3, "exit status 3; LOG says: epoch 1"),
        (CUDA + "epoch 2\n", -9, "killed by signal 9 (out of memory?); last line of LOG: epoch 2"),
        ("", -9, "killed by signal 9 (out of memory?); last line of LOG: -"),
        (
            "error: an earlier attempt\n",
            -15,
            "killed by signal 15 (out of memory?); last line of LOG: error: an earlier",
        ),
    ],
)
def test_the_line_that_tells(tmp_path: Path, log: str, status: int, expected: str) -> None:
    file = tmp_path / "output.log"
    file.write_text(log, encoding="utf-8")
    assert why(file, status).replace(str(file), "LOG").startswith(expected)
