"""The soak at a small scale: nothing grows."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("size", [["--part=steps", "--steps=800", "--items=2000"], ["--part=runs", "--runs=24"]])
def test_nothing_grows(commands: Any, tmp_path: Path, size: list[str]) -> None:
    script, stored = ROOT / "benchmarks" / "soak.py", tmp_path / "stored.json"
    done = commands.run(str(script), *size, f"--result={stored}", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    (part,) = (json.loads(stored.read_text())[name] for name in ("steps", "runs") if f"--part={name}" in size)
    warm = next(one for one in part["looks"] if one["at"] >= part["warm_up"])
    last = part["looks"][-1]
    assert last["at"] > warm["at"]
    assert last["memory_bytes"] < 1.02 * warm["memory_bytes"]
    for what in ("open_files", "threads", "children", "log_handlers"):
        assert last[what] <= warm[what], what
