"""From atomic files to ready to train: CPU seconds and peak memory on top of the imports, beside RecBole's own code.

    uv run benchmarks/preparation.py [--repeats=5]

Each measurement is a process of its own with one thread, so that its peak is its own. Ours is what a run does before
training: load, filter, give ids, log the statistics, split, fingerprint, loaders, and the model with its counts.
RecBole's is its unmodified `create_dataset` and `data_preparation` for its SASRec (cross-entropy, no negatives). Both
keep histories of 50. The synthetic file is written into a temporary folder: 20 million interactions of 138,000 users
with 27,000 items of Zipf-like popularity, in no order, times by the minute.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

from recbole_logq.markup import markdown_table

# Nothing heavy is imported here: on Linux a process starts with the peak memory of the one that started it.
ROOT = Path(__file__).parent.parent
RESULT = Path(__file__).parent / "results" / "preparation.json"
INTERACTIONS, USERS, ITEMS = 20_000_000, 138_000, 27_000
SETTINGS = {"MAX_ITEM_LIST_LENGTH": 50, "show_progress": False, "train_neg_sample_args": None}
CANDIDATES = {
    "ours": "SASRecCorrectedLogQ",
    "ours, TwoTower": "TwoTowerCorrectedLogQ",
    "ours, RecBole's order": "SASRecCorrectedLogQ",
    "RecBole": "SASRec",
}
LEAVE_ONE_OUT = {"split": {"LS": "valid_and_test"}, "order": "TO"}


def main() -> None:
    """Measure all, write the result and print it; with ``--measure`` measure one in this process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--interactions", type=int, default=INTERACTIONS, help="of the synthetic file")
    parser.add_argument("--measure", nargs=3, metavar=("WHO", "DATASET", "DATA_PATH"), help=argparse.SUPPRESS)
    parser.add_argument("--generate", metavar="DATA_PATH", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.measure:
        print(json.dumps(measure(*arguments.measure)))
    elif arguments.generate:
        generate(Path(arguments.generate), arguments.interactions)
    else:
        measure_all(arguments.repeats, arguments.interactions)
        print(table())


def measure_all(repeats: int, interactions: int) -> None:
    """All rows, in turn, so that a drift of the machine touches all alike."""
    datasets = str(ROOT / "datasets")
    measured: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for _ in range(repeats):
        for side in ("ours", "ours, TwoTower", "RecBole"):
            measured.setdefault((side, "ml-1m"), []).append(in_a_process("--measure", side, "ml-1m", datasets))
    compared = in_a_process("--measure", "ours, RecBole's order", "ml-1m", datasets)
    with tempfile.TemporaryDirectory() as folder:
        in_a_process("--generate", folder, f"--interactions={interactions}")
        measured["ours", "synthetic"] = [in_a_process("--measure", "ours", "synthetic", folder)]
    rows = []
    for (side, dataset), runs in measured.items():
        seconds = [run["cpu_seconds"] for run in runs]
        row = {"who": side, "dataset": dataset, "interactions": runs[0]["interactions"], "runs": len(runs)}
        row |= {"cpu_seconds": round(statistics.median(seconds), 2), "lowest": min(seconds), "highest": max(seconds)}
        rows.append(row | {"peak_mb": round(max(run["peak_mb"] for run in runs))})
    content = {
        "date": date.today().isoformat(),
        "versions": compared["versions"],
        "same_pairs_in_recboles_order": compared["fingerprint"] == measured["RecBole", "ml-1m"][0]["fingerprint"],
        "rows": rows,
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def in_a_process(*arguments: str) -> Any:
    """Run this file with ``arguments`` where nothing lies about, one thread, and return what it prints as JSON."""
    with tempfile.TemporaryDirectory() as folder:  # RecBole would take a dataset that lies in saved/
        command = [sys.executable, str(Path(__file__).resolve()), *arguments]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        process = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return json.loads(process.stdout.splitlines()[-1]) if process.stdout else None


def measure(side: str, dataset: str, data_path: str) -> dict[str, Any]:
    """One preparation: CPU seconds, peak memory above what the imports left (MB), and what came out."""
    import psutil
    import torch

    from recbole_logq import compat

    compat.apply()
    from recbole.data import create_dataset, data_preparation
    from recbole.utils import init_seed

    from recbole_logq.config import Config
    from recbole_logq.data import prepare
    from recbole_logq.data.dataset.fingerprint import split_fingerprint
    from recbole_logq.experiment.machine_facts import versions
    from recbole_logq.training.memory import peak_memory_mb

    torch.set_num_threads(1)
    options = {**SETTINGS, "data_path": data_path, "eval_args": LEAVE_ONE_OUT, "recbole_order": "RecBole" in side}
    config = Config(CANDIDATES[side], dataset, None, options)
    init_seed(config["seed"], True)
    imported, start = psutil.Process().memory_info().rss / 1e6, process_time()
    if side == "RecBole":
        data = create_dataset(config)
        loaders = data_preparation(config, data)
    else:
        data = prepare.create_dataset(config)
        str(data)  # the statistics in the log
        parts = prepare.split_dataset(config, data)
        fingerprint = split_fingerprint(parts)
        loaders = prepare.create_loaders(config, data, parts)
        config.model_class(config, parts[0])
    seconds, peak = process_time() - start, peak_memory_mb() - imported
    if side == "RecBole":
        fingerprint = split_fingerprint([loader._dataset for loader in loaders])
    with open(Path(data_path) / dataset / f"{dataset}.inter", encoding="utf-8") as lines:
        interactions = sum(1 for _ in lines) - 1
    return {
        "cpu_seconds": round(seconds, 2),
        "peak_mb": round(peak),
        "interactions": interactions,
        "fingerprint": fingerprint,
        "versions": versions(),
    }


def generate(data_path: Path, interactions: int) -> None:
    """Write ``<data_path>/synthetic/synthetic.inter``; seed 0."""
    import numpy as np
    import pyarrow
    from pyarrow import csv

    random = np.random.default_rng(0)
    repeated = np.arange(USERS).repeat(interactions // USERS // 2)  # at least that many of every user
    users = random.permutation(np.concatenate([repeated, random.integers(0, USERS, interactions - len(repeated))]))
    popularity = np.cumsum(1 / np.arange(1, ITEMS + 1) ** 0.9)
    items = np.searchsorted(popularity / popularity[-1], random.random(interactions))
    times = 1_700_000_000 + 60 * random.integers(0, 365 * 24 * 60, interactions)
    rows = pyarrow.table({"user": users, "item": items, "time": times})
    folder = data_path / "synthetic"
    folder.mkdir()
    with (folder / "synthetic.inter").open("wb") as out:
        out.write(b"user_id:token\titem_id:token\ttimestamp:float\n")
        csv.write_csv(rows, out, csv.WriteOptions(include_header=False, delimiter="\t"))


def table() -> str:
    """The stored measurement."""
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    head = ["who", "data", "interactions", "CPU s, median", "lowest - highest", "peak MB"]
    rows = []
    for row in content["rows"]:
        span = f"{row['lowest']:.2f} - {row['highest']:.2f}" if row["runs"] > 1 else "one run"
        figures = [f"{row['interactions']:,}", f"{row['cpu_seconds']:.2f}", span, f"{row['peak_mb']:,}"]
        rows.append([row["who"], row["dataset"], *figures])
    agreement = "the same" if content["same_pairs_in_recboles_order"] else "NOT the same"
    pairs = f"In RecBole's order of time both make {agreement} (user, target) pairs of every part of ml-1m."
    return f"{markdown_table(head, rows)}\n\n{pairs}"


if __name__ == "__main__":
    main()
