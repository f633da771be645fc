"""Full-ranking evaluation: users per CPU second against RecBole's own path, and memory on a catalogue of a million.

    uv run benchmarks/evaluation.py [--repeats=5]

One thread, random weights, synthetic interactions (every item about equally often), leave-one-out, RecBole's default
metrics and cut-off; an evaluation is everything from the loader to the rounded metrics.

1. 4,000 users, 100,000 items, 64 dimensions. RecBole: its loader with its ``eval_batch_size`` of 4096, its trainer and
   its collector, on its BPR. Ours: the same BPR through this package, which gets blocks of scores from the model; and
   TwoTower with BPR's very tables, whose items stream by. Users' vectors lean to their test items, so that there are
   hits, and all three must agree on every metric.
2. 10,000 users, 1,000,000 items, TwoTower with 64 dimensions, in a process of its own, whose peak memory counts
   everything: the interpreter, the dataset, the model and the evaluation.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from recbole.data.dataloader import FullSortEvalDataLoader
from recbole.data.utils import create_samplers
from recbole.trainer import Trainer as RecBoleTrainer
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table
from recbole_logq.training.create import create_trainer
from recbole_logq.training.memory import peak_memory_mb

RESULT = Path(__file__).parent / "results" / "evaluation.json"
WIDE = {"n_users": 4_000, "n_items": 100_000, "per_user": 25}
LARGE = {"n_users": 10_000, "n_items": 1_000_000, "per_user": 100}
TABLES: dict[str, Any] = {"embedding_size": 64, "mlp_sizes": [], "similarity": "dot", "temperature": 1.0}
RECBOLE = "RecBole: BPR"


def write_dataset(folder: Path, n_users: int, n_items: int, per_user: int) -> None:
    """Interactions as an atomic file named after its folder; every item once before any comes again."""
    generator = np.random.default_rng(0)
    rows = n_users * per_user
    rounds = [generator.permutation(n_items) for _ in range(-(-rows // n_items))]
    items = np.concatenate(rounds)[:rows].tolist()
    folder.mkdir(parents=True)
    with (folder / f"{folder.name}.inter").open("w", encoding="utf-8") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        file.writelines(f"{row // per_user}\t{item}\t{row}\n" for row, item in enumerate(items))


def prepare(model: str, data: Path, settings: dict[str, Any]) -> tuple[Any, Any, Any]:
    """A trainer, our test loader, and a function that gives RecBole's."""
    options = {"data_path": str(data), "show_progress": False, **settings}
    options["eval_args"] = {"split": {"LS": "valid_and_test"}, "order": "TO"}
    config = Config(model, "synthetic", None, options)
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    parts = split_dataset(config, dataset)
    loaders = create_loaders(config, dataset, parts)
    trainer = create_trainer(config, config.model_class(config, parts[0]))
    trainer.eval_collector.data_collect(loaders[0])

    def theirs() -> FullSortEvalDataLoader:
        return FullSortEvalDataLoader(config, parts[2], create_samplers(config, dataset, parts)[2])

    return trainer, loaders[2], theirs


def measure(data: Path, repeats: int) -> list[dict[str, Any]]:
    """Users per CPU second, in turn, so that a drift of the machine touches all alike."""
    write_dataset(data / "synthetic", **WIDE)
    bpr, bpr_loader, theirs = prepare("BPR", data, {"embedding_size": 64})
    tower, tower_loader, _ = prepare("TwoTowerBPR", data, TABLES)
    users, items = bpr.model.user_embedding.weight.data, bpr.model.item_embedding.weight.data
    tests = tower_loader._dataset.inter_feat
    users[tests["user_id"]] = items[tests["item_id"]] + 2 * torch.randn(len(tests), items.shape[1]) * items.std()
    tower.model.user_tower.embedding.weight.data.copy_(users)
    tower.model.item_tower.embedding.weight.data.copy_(items)
    their_loader = theirs()
    candidates: dict[str, Callable[[], Any]] = {
        RECBOLE: lambda: RecBoleTrainer.evaluate(bpr, their_loader, load_best_model=False),
        "ours: BPR": lambda: bpr.evaluate(bpr_loader, load_best_model=False),
        "ours: TwoTower": lambda: tower.evaluate(tower_loader, load_best_model=False),
    }
    results = {name: evaluate() for name, evaluate in candidates.items()}  # warm-up
    for name, result in results.items():
        if result != results[RECBOLE]:
            raise SystemExit(f"{name} found {result}, RecBole {results[RECBOLE]}")
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(repeats):
        for name, evaluate in candidates.items():
            start = process_time()
            evaluate()
            rates[name].append(WIDE["n_users"] / (process_time() - start))
    base = statistics.median(rates[RECBOLE])
    return [
        {
            "who": name,
            "users_per_cpu_second": round(statistics.median(values)),
            "lowest": round(min(values)),
            "highest": round(max(values)),
            "ratio_to_recbole": round(statistics.median(values) / base, 1),
        }
        for name, values in rates.items()
    ]


def measure_large(data: Path, repeats: int) -> dict[str, Any]:
    """CPU seconds of an evaluation on the large catalogue and this process's peak memory."""
    write_dataset(data / "synthetic", **LARGE)
    trainer, loader, _ = prepare("TwoTowerBPR", data, TABLES)
    before = peak_memory_mb()
    seconds = []
    for _ in range(repeats):
        start = process_time()
        trainer.evaluate(loader, load_best_model=False)
        seconds.append(process_time() - start)
    return {
        "users": LARGE["n_users"],
        "items": LARGE["n_items"],
        "cpu_seconds": round(statistics.median(seconds), 1),
        "lowest": round(min(seconds), 1),
        "highest": round(max(seconds), 1),
        "peak_mb_before": round(before),
        "peak_mb": round(peak_memory_mb()),
    }


def main() -> None:
    """Both measurements; the large one in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--large", action="store_true", help="only the large catalogue, printed as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start = Path.cwd()
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # RecBole writes log/ and saved/ where it stands
        try:
            if arguments.large:
                print(json.dumps(measure_large(Path(folder), arguments.repeats)))
                return
            rows = measure(Path(folder), arguments.repeats)
        finally:
            os.chdir(start)
    command = [sys.executable, __file__, "--large", f"--repeats={arguments.repeats}"]
    process = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    large = json.loads(process.stdout.splitlines()[-1])
    content = {"date": date.today().isoformat(), "repeats": arguments.repeats, "versions": versions(), "rows": rows}
    RESULT.write_text(json.dumps({**content, "large": large}, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurements."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = []
    for row in stored["rows"]:
        span = f"{row['lowest']:,} - {row['highest']:,}"
        rows.append([row["who"], f"{row['users_per_cpu_second']:,}", span, row["ratio_to_recbole"]])
    rates = markdown_table(["who", "users / CPU s, median", "lowest - highest", "x RecBole"], rows)
    large = stored["large"]
    return (
        f"{rates}\n\n"
        f"{large['users']:,} users, {large['items']:,} items: {large['cpu_seconds']} CPU seconds ({large['lowest']} - "
        f"{large['highest']}), peak memory {large['peak_mb']:,} MB ({large['peak_mb_before']:,} MB before the "
        "evaluation)."
    )


if __name__ == "__main__":
    main()
