"""The published tables are those of the stored results."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


def test_readme_and_docs_hold_the_stored_results() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "report.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_something_to_hold() -> None:
    assert "<!-- quality -->" in (ROOT / "README.md").read_text(encoding="utf-8")
    pages = "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    marked = set(
        re.findall(r'^        "([\w-]+)": ', (ROOT / "benchmarks" / "report.py").read_text("utf-8"), re.MULTILINE)
    )
    assert len(marked) > 10
    assert {name for name in marked if f"<!-- {name} -->" not in pages} == set()  # no table is written nowhere


@pytest.mark.slow
def test_the_benchmark_of_many_users_at_a_small_scale(tmp_path: Path) -> None:
    script, stored = ROOT / "benchmarks" / "many_users.py", tmp_path / "stored.json"
    size = ["--users=3000", "--items=400", "--steps=30", f"--folder={tmp_path / 'scratch'}", f"--result={stored}"]
    done = subprocess.run([sys.executable, str(script), *size], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(stored.read_text(encoding="utf-8"))
    assert f"| 3,000, {found['items']}, {found['interactions']:,} |" in done.stdout
    assert 8 * 3000 < found["interactions"] < 12 * 3000
    assert 380 < found["items"] <= 400
    assert found["loss_of_the_last_steps"] < found["loss_of_the_first_steps"] - 0.5
    assert not list((tmp_path / "scratch").iterdir())  # the cache is gone
