"""A sweep against the same trials in plain processes, at the same concurrency and threads: wall-clock seconds.

    uv run benchmarks/sweep_overhead.py [--trials=8] [--concurrent=2]

Both sides do everything: the sweep starts Ray, prepares the data, trains, tests its winner and writes its report; a
plain process is a `run` of one trial's settings, with its imports, its data and its test. Nothing is stopped early on
either side, and every process has one thread. A ratio above 1 is what the sweep costs on top.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "sweep_overhead.json"
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


def main() -> None:
    """Measure both and store the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=8)
    parser.add_argument("--concurrent", type=int, default=2)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        start = perf_counter()
        command("sweep", f"--config_files={ROOT / 'config/sweep/quick.yaml'}", "--folder=swept", "--scheduler=none",
                f"--trials={asked.trials}", f"--concurrent={asked.concurrent}", folder=folder)  # fmt: skip
        swept = perf_counter() - start
        trials = json.loads((folder / "swept" / "results.json").read_text(encoding="utf-8"))["searches"][0]["trials"]
        points = [trial["point"] for trial in trials]
        start = perf_counter()
        with ThreadPoolExecutor(asked.concurrent) as pool:
            scores = list(pool.map(lambda pair: plain(pair[1], folder / f"plain{pair[0]}"), enumerate(points)))
        plainly = perf_counter() - start
    same = scores == [trial["best_score"] for trial in trials]
    result = {"date": date.today().isoformat(), "trials": len(trials), "concurrent": asked.concurrent}
    result |= {"cores": os.cpu_count(), "load_at_end": round(os.getloadavg()[0], 1), "same_scores": same}
    result |= {"sweep_seconds": round(swept, 1), "plain_seconds": round(plainly, 1), "ratio": round(swept / plainly, 3)}
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(table())


def plain(point: dict[str, Any], folder: Path) -> float:
    """The validation score of a trial in a process of its own."""
    import yaml

    given = yaml.safe_load((ROOT / "config/sweep/quick.yaml").read_text(encoding="utf-8"))
    protocol = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}, "filter_history": True}
    settings = {"model": given["model"], "dataset": given["dataset"], **protocol, **given["settings"], **point}
    folder.mkdir()
    (folder / "trial.yaml").write_text(yaml.safe_dump({**settings, "use_gpu": False}), encoding="utf-8")
    command("--config_files=trial.yaml", "--show_progress=false", "--output=result.json", folder=folder)
    return float(json.loads((folder / "result.json").read_text(encoding="utf-8"))["best_valid_score"])


def command(*words: str, folder: Path) -> None:
    """One of the package's commands, quietly."""
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    subprocess.run([sys.executable, "-m", "recbole_logq", *words], cwd=folder, env=ENVIRONMENT, check=True, **quiet)


def table() -> str:
    """The stored result as Markdown."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    return "\n".join(
        [
            f"| {result['trials']} trials, {result['concurrent']} at a time | wall-clock s | ratio |",
            "|---|---|---|",
            f"| plain processes | {result['plain_seconds']} | 1 |",
            f"| sweep | {result['sweep_seconds']} | {result['ratio']} |",
        ]
    )


if __name__ == "__main__":
    main()
