"""A long run of the fuzzing in tests/reliability/test_fuzz.py, and how it ended.

    uv run benchmarks/fuzz.py [--examples=400]

That many inputs for each of its tests, others every time; the tests of every day try a few that are always the same.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

ROOT = Path(__file__).parents[1]
RESULT = Path(__file__).parent / "results" / "fuzz.json"


def table() -> str:
    """Of the stored run, as Markdown."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = []
    for name, counts in stored["counts"].items():
        cells = [sum(counts.values()), *(counts.get(status, 0) for status in ("0", "1", "2", "else"))]
        rows.append([name, *(f"{cell:,}" for cell in cells)])
    origin = f"`uv run benchmarks/fuzz.py --examples={stored['examples']}`, {stored['date']}, {stored['seconds']:.0f} s"
    head = ["what", "commands run", "done (0)", "work failed (1)", "refused (2)", "anything else"]
    return f"{markdown_table(head, rows)}\n\n{origin}."


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=400)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        file = Path(scratch) / "counts.json"
        more = {"FUZZ_EXAMPLES": str(arguments.examples), "FUZZ_STATISTICS": str(file), "OMP_NUM_THREADS": "1"}
        start = perf_counter()
        command = [sys.executable, "-m", "pytest", "-n0", "-q", "tests/reliability/test_fuzz.py"]
        process = subprocess.run(command, cwd=ROOT, env={**os.environ, **more}, check=False)
        seconds = perf_counter() - start
        counts = json.loads(file.read_text(encoding="utf-8"))
    stored = {
        "examples": arguments.examples,
        "passed": process.returncode == 0,
        "seconds": round(seconds, 1),
        "date": str(date.today()),
        "versions": versions(),
        "counts": counts,
    }
    RESULT.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print(table())
    return process.returncode


if __name__ == "__main__":
    sys.exit(main())
