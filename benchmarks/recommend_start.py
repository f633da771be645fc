"""`recommend` for one user from an exported folder, as a whole process: CPU seconds and wall seconds.

    uv run benchmarks/recommend_start.py --before=FOLDER    # against another checkout, with its own .venv
    uv run benchmarks/recommend_start.py --table            # only what is stored

Every checkout trains the same small model (SASRec on a made-up dataset), exports it and is asked for one user, in turns
with the others and with a process that does nothing but `import torch`. CPU seconds are user and system time together,
of the process itself; the result is the median. One thread. A process before the first round warms the disk's cache.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import tempfile
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "recommend_start.json"
USERS, ITEMS, EACH = 60, 300, 12
SETTINGS = ["--model=SASRecLogQ", "--dataset=tiny", "--data_path=data", "--epochs=1", "--state=ERROR", "--seed=1"]
SETTINGS += ["--show_progress=false", "--checkpoint_dir=saved"]
RECOMMEND = ["-m", "recbole_logq", "recommend", "--model=served", "--users=u1"]
NAMES = {"before": "before", "now": "now", "torch": "`import torch` alone"}


def main() -> None:
    """Measure in turns, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="checkout of the revision to compare with")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--table", action="store_true", help="measure nothing")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    if not arguments.table:
        measure(arguments)
    print(table(arguments.output))


def measure(arguments: argparse.Namespace) -> None:
    """Export with each checkout, then ask in turns."""
    checkouts = {"now": ROOT, **({"before": arguments.before.resolve()} if arguments.before else {})}
    with tempfile.TemporaryDirectory() as name:
        commands: dict[str, tuple[Path, Path, list[str]]] = {}
        for side, checkout in checkouts.items():
            folder = Path(name) / side
            write_data(folder / "data" / "tiny")
            started(checkout, folder, ["-m", "recbole_logq", *SETTINGS])
            (checkpoint,) = (file for file in (folder / "saved").glob("*.pth") if not file.stem.endswith("-last"))
            started(checkout, folder, ["-m", "recbole_logq", "export", f"--checkpoint={checkpoint}", "--folder=served"])
            commands[side] = (checkout, folder, RECOMMEND)
        commands["torch"] = (ROOT, Path(name), ["-c", "import torch"])
        for command in commands.values():
            started(*command)
        load = os.getloadavg()[0]
        runs: dict[str, list[dict[str, float]]] = {side: [] for side in commands}
        for number in range(arguments.rounds):
            for side, command in commands.items():
                runs[side].append(started(*command))
                print(f"round {number + 1}, {side}: {runs[side][-1]}", flush=True)
    revisions = {side: revision(checkout) for side, checkout in checkouts.items()}
    content = {"date": date.today().isoformat(), "cores": os.cpu_count(), "threads": 1, "versions": versions()}
    content |= {
        "revisions": revisions,
        "seed": 1,
        "load_before": round(load, 1),
        "load_after": round(os.getloadavg()[0], 1),
    }
    content["median"] = {
        side: {key: round(statistics.median(start[key] for start in starts), 2) for key in starts[0]}
        for side, starts in runs.items()
    }
    content["runs"] = runs
    arguments.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def started(checkout: Path, folder: Path, words: list[str], threads: int = 1) -> dict[str, float]:
    """A process of a checkout's environment, from its start to its end, well or with a wrong request."""
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads), "PYTHONPATH": str(checkout)}
    used = cpu_seconds()
    start = perf_counter()
    command = [str(checkout / ".venv" / "bin" / "python"), *words]
    process = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    if process.returncode not in (0, 2):
        raise RuntimeError(f"{words} ended with status {process.returncode}: {process.stderr[-500:]}")
    return {"cpu_seconds": round(cpu_seconds() - used, 2), "wall_seconds": round(perf_counter() - start, 2)}


def cpu_seconds() -> float:
    """Of all processes that were waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def revision(checkout: Path) -> str:
    """The commit of a checkout."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, cwd=checkout, check=True, capture_output=True, text=True).stdout.strip()


def write_data(folder: Path) -> None:
    """A dataset of a moment's making."""
    folder.mkdir(parents=True)
    draw = random.Random(0)
    lines = ["user_id:token\titem_id:token\ttimestamp:float"]
    for user in range(USERS):
        lines += [f"u{user}\ti{item}\t{100 * user + n}" for n, item in enumerate(draw.sample(range(ITEMS), EACH))]
    (folder / "tiny.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")


def table(path: Path = RESULT) -> str:
    """The stored result as Markdown; a line that says so where there is none yet."""
    if not path.is_file():
        return "Not measured yet."
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    rows = []
    for side in (side for side in NAMES if side in result["median"]):
        revision = f" (`{result['revisions'][side]}`)" if side in result["revisions"] else ""
        cpu = [start["cpu_seconds"] for start in result["runs"][side]]
        median = result["median"][side]
        figures = [f"{median['cpu_seconds']:.2f}", f"{min(cpu):.2f} - {max(cpu):.2f}", f"{median['wall_seconds']:.2f}"]
        rows.append([f"{NAMES[side]}{revision}", *figures])
    return markdown_table(["process", "CPU s, median", "lowest - highest", "wall s, median"], rows)


if __name__ == "__main__":
    main()
