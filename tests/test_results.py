"""The published tables are those of the stored results."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from recbole_logq.experiment.plan import make_plan

ROOT = Path(__file__).parent.parent


def test_readme_and_docs_hold_the_stored_results() -> None:
    command = [sys.executable, str(ROOT / "benchmarks" / "report.py"), "--check"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_there_is_something_to_hold() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert "<!-- ml-1m-short -->" in readme
    pages = readme + "".join(page.read_text(encoding="utf-8") for page in (ROOT / "docs").glob("*.md"))
    marked = set(
        re.findall(r'^        "([\w-]+)": ', (ROOT / "benchmarks" / "report.py").read_text("utf-8"), re.MULTILINE)
    )
    assert len(marked) > 10
    assert {name for name in marked if f"<!-- {name} -->" not in pages} == set()  # no table is written nowhere


def test_the_general_models_have_what_their_tuning_chose(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import sweeps

    plan = make_plan([str(ROOT / "config" / "experiment" / "two-tower-ml-1m.yaml")], {})
    runs = {run.name: run.settings for run in plan.runs}
    tuned = sweeps.trials("general-ml-1m", "user-vectors-ml-1m")
    assert len(tuned) == 7
    for name, trials in tuned.items():
        _, searched = sweeps.best(trials)
        assert searched
        for key, value in searched.items():
            chosen = yaml.safe_load(value)  # the file has four digits of it
            expected = pytest.approx(chosen, rel=1e-3) if isinstance(chosen, float) else chosen
            assert runs[name].get(key) == expected, f"{name}: {key}"


@pytest.mark.slow
def test_the_benchmark_of_many_users_at_a_small_scale(commands: Any, tmp_path: Path) -> None:
    script, stored = ROOT / "benchmarks" / "many_users.py", tmp_path / "stored.json"
    size = ["--users=3000", "--items=400", "--steps=30", f"--folder={tmp_path / 'scratch'}", f"--result={stored}"]
    done = commands.run(str(script), *size, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(stored.read_text(encoding="utf-8"))
    assert f"| 3,000, {found['items']}, {found['interactions']:,} |" in done.stdout
    assert 8 * 3000 < found["interactions"] < 12 * 3000
    assert 380 < found["items"] <= 400
    assert found["loss_of_the_last_steps"] < found["loss_of_the_first_steps"] - 0.5
    assert not list((tmp_path / "scratch").iterdir())  # the cache is gone


@pytest.mark.slow
def test_the_benchmark_of_search_at_a_small_scale(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(ROOT / "benchmarks")
    import retrieval_scale as benchmark

    monkeypatch.setattr(benchmark, "QUERIES", 100)
    monkeypatch.setattr(benchmark, "PASSES", 1)
    assert benchmark.table(tmp_path) == "Not measured yet."
    parts = benchmark.Parts(tmp_path, tmp_path, 3000, 5000, "one")
    for name, part in benchmark.PARTS.items():
        found = {"items": 3000, "threads": 1} | part(parts)
        (tmp_path / f"one-{name}.json").write_text(json.dumps(found))
        assert "3,000 items" in benchmark.table(tmp_path)  # of what there is so far
    assert found["written_mb"] == 2  # 5,000 users, 100 ids of 4 bytes
    for name in ("hnsw", "ivfpq"):
        curve = json.loads((tmp_path / f"one-{name}_search.json").read_text())["curve"]
        assert curve[0]["recall"] < curve[-1]["recall"] > 0.99
    table = benchmark.table(tmp_path)
    assert "The best 100 items of 5,000 users" in table
    assert not list(tmp_path.glob("top*"))
