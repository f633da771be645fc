"""Linter, formatter and type checker, so that one command checks everything."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "--no-cache", "."],
        # Text in a named encoding, not in the one that a machine likes best.
        ["ruff", "check", "--no-cache", "--preview", "--select=PLW1514", "recbole_logq"],
        ["ruff", "format", "--no-cache", "--check", "."],
        pytest.param(["mypy"], marks=pytest.mark.slow),
    ],
    ids=["lint", "encodings", "format", "types"],
)
def test_no_complaints(command: list[str]) -> None:
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout}{done.stderr}"
