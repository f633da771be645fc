"""A memory of vectors against one of ids: `negatives.momentum` of cross_batch on ml-100k, item towers with features.

    uv run benchmarks/momentum_memory.py                # all runs that are missing, then the table
    uv run benchmarks/momentum_memory.py --only=stale   # one of them
    uv run benchmarks/momentum_memory.py --time         # milliseconds of a step, on a quiet machine
    uv run benchmarks/momentum_memory.py --table        # only the tables of what is stored

TwoTowerCBNSCorrectedLogQ, batches of 256 interactions with their own positives and a memory of 2,048, item towers of
id, class and year under a layer. ``ids`` computes the memory's vectors afresh, with a gradient; ``stale`` keeps those
of the tower as they were (momentum 0, as Wang et al. 2021); ``momentum-0.999`` those of a key encoder (He et al. 2020).
``batch`` has no memory. Leave-one-out in exact time order, one thread; validation chooses the epoch.
"""

from __future__ import annotations

import json
import sys
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
from stored_runs import Experiment, mean_and_interval, prints

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.files import write_json
from recbole_logq.markup import markdown_table

TIMES = Path(__file__).parent / "results" / "momentum_memory" / "step.json"
MEMORY = {"negatives.memory": 2048, "negatives.warmup_steps": 100, "negatives.count": None}
ARMS: dict[str, dict[str, Any]] = {
    "batch": {"negatives.source": "in_batch", "negatives.count": None},
    "ids": MEMORY,
    "stale": {**MEMORY, "negatives.momentum": 0.0},
    "momentum-0.999": {**MEMORY, "negatives.momentum": 0.999},
}
SHARED: dict[str, Any] = {
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
    "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id", "release_year", "class"]},
    "item_features": ["class", "release_year"],
    "mlp_sizes": [64],
    "train_batch_size": 256,
    "metrics": ["Recall", "NDCG"],
    "topk": [10],
    "valid_metric": "NDCG@10",
    "show_progress": False,
    "epochs": 5,
    "stopping_step": 3,
    "learning_rate": 0.003,
}
EXPERIMENT = Experiment(
    "momentum_memory",
    "ml-100k",
    {
        name: {
            "model": "TwoTowerCorrectedLogQ" if name == "batch" else "TwoTowerCBNSCorrectedLogQ",
            "seeds": [1, 2, 3],
            "settings": settings,
        }
        for name, settings in ARMS.items()
    },
    SHARED,
)
WARM_UP, STEPS, MEMORIES = 20, 60, (2048, 16384)


def measure_steps() -> None:
    """Median CPU milliseconds of a step with a full memory."""
    from recbole.utils import init_seed

    from recbole_logq import compat
    from recbole_logq.config import Config
    from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset

    compat.apply()
    torch.set_num_threads(1)
    milliseconds: dict[str, dict[str, float]] = {}
    for name in ("ids", "stale", "momentum-0.999"):
        for memory in MEMORIES:
            settings = {**SHARED, **ARMS[name], "negatives.memory": memory, "negatives.warmup_steps": 0, "seed": 1}
            config = Config("TwoTowerCBNSCorrectedLogQ", "ml-100k", None, settings)
            init_seed(config["seed"], True)
            parts = split_dataset(config, dataset := create_dataset(config))
            loader = create_loaders(config, dataset, parts)[0]
            network = config.model_class(config, parts[0]).train()
            optimizer, seconds = torch.optim.Adam(network.parameters()), []
            for step, batch in enumerate(loader):
                start = process_time()
                optimizer.zero_grad()
                network.calculate_loss(batch).backward()
                optimizer.step()
                network.after_step()
                if step >= memory // 256 + WARM_UP:
                    seconds.append(process_time() - start)
                if len(seconds) == STEPS:
                    break
            milliseconds.setdefault(name, {})[str(memory)] = round(1000 * sorted(seconds)[len(seconds) // 2], 2)
    write_json(TIMES, {"date": date.today().isoformat(), "versions": versions(), "milliseconds": milliseconds})


def table() -> str:
    """Test metrics of the epoch that validation chose, and CPU milliseconds of a step."""
    times = json.loads(TIMES.read_text(encoding="utf-8"))["milliseconds"] if TIMES.is_file() else {}

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        return [
            *(mean_and_interval([run["test_result"][f"{key}@10"] for run in runs]) for key in ("ndcg", "recall")),
            prints(runs),
        ]

    head, rows = ["memory", "seeds", "NDCG@10", "Recall@10", "test split"], EXPERIMENT.rows(cells)
    if times:
        head += [f"ms a step, memory {n:,}" for n in MEMORIES]
        for row in rows:
            row += [f"{times[row[0]][str(n)]:.1f}" if row[0] in times else "-" for n in MEMORIES]
    return markdown_table(head, rows)


if __name__ == "__main__":
    if "--time" in sys.argv:
        measure_steps()
        print(table())
    else:
        EXPERIMENT.main(__doc__ or "", table)
