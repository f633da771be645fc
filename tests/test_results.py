"""The published tables are those of the stored results."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_readme_and_docs_hold_the_stored_results() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "report.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_something_to_hold() -> None:
    assert "<!-- quality -->" in (ROOT / "README.md").read_text(encoding="utf-8")
    for name in ("quality", "curve", "training"):
        assert f"<!-- {name} -->" in (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
