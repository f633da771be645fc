"""Quality on ml-100k: this package's models at convergence against RecBole's SASRec (CE) and BPR.

    uv run benchmarks/quality_ml100k.py                  # all runs that are missing, then the table
    uv run benchmarks/quality_ml100k.py --only=recbole   # runs whose name contains "recbole"
    uv run benchmarks/quality_ml100k.py --table          # only the table of what is stored

Every run ends in one JSON file under benchmarks/results/quality_ml100k/; a killed run resumes from its checkpoint.
The test curve is recorded at every validation and looked at by nobody before the end: the epoch is chosen on
validation NDCG@10. One thread per run; CPU seconds are those of training alone.
"""

from __future__ import annotations

import argparse
import json
import statistics
from pathlib import Path
from typing import Any

import torch

from recbole_logq import run

RESULTS = Path(__file__).parent / "results" / "quality_ml100k"
SHARED: dict[str, Any] = {"valid_metric": "NDCG@10", "show_progress": False, "epochs": 1000}
# Leave-one-out in exact time order for every sequential model, RecBole's random 80/10/10 split for general ones.
# Dropout and batch were chosen on validation (0.5 is also RecBole's default).
SEQUENTIAL: dict[str, Any] = {"dropout": 0.5, "train_batch_size": 64, "stopping_step": 20}
RUNS: dict[str, dict[str, Any]] = {
    "recbole-SASRec-CE": {
        "model": "SASRec",
        "seeds": [2020],
        # Two CPU-hours, not ended by early stopping.
        "settings": {"loss_type": "CE", "train_neg_sample_args": None, "stopping_step": 1000}
        | {"max_train_cpu_seconds": 7200.0},
    },
    "SASRecCorrectedLogQ": {"model": "SASRecCorrectedLogQ", "seeds": [1, 2, 3], "settings": SEQUENTIAL},
    "SASRecFullSoftmax": {"model": "SASRecFullSoftmax", "seeds": [1, 2, 3], "settings": SEQUENTIAL},
    "recbole-BPR": {"model": "BPR", "seeds": [1, 2, 3], "settings": {"stopping_step": 20}},
    "TwoTowerCorrectedLogQ": {"model": "TwoTowerCorrectedLogQ", "seeds": [1, 2, 3], "settings": {"stopping_step": 20}},
}


def train(name: str, seed: int) -> None:
    """Run one entry, from its last checkpoint if it was interrupted, and store the result."""
    spec = RUNS[name]
    folder = Path("saved") / "quality_ml100k" / f"{name}-{seed}"
    interrupted = sorted(folder.glob("*-last.pth"))

    def observe(trainer: Any, loaders: Any) -> None:
        trainer.observed_data = loaders[2]

    result = run(
        spec["model"],
        "ml-100k",
        config_dict={**SHARED, **spec["settings"], "seed": seed, "checkpoint_dir": str(folder)},
        resume=str(interrupted[-1]) if interrupted else None,
        callback=observe,
    )
    del result["parameters"]
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}-{seed}.json"
    path.write_text(json.dumps(result, indent=1, default=str) + "\n", encoding="utf-8")


def table() -> None:
    """Print what is stored."""
    print("| run | seeds | test NDCG@10 | test Recall@10 | best epoch at CPU s | CPU s in all | split |")
    print("|---|---|---|---|---|---|---|")
    for name, spec in RUNS.items():
        files = [RESULTS / f"{name}-{seed}.json" for seed in spec["seeds"]]
        stored = [json.loads(file.read_text()) for file in files if file.is_file()]
        if not stored:
            continue
        best = [max(one["history"], key=lambda row: row.get("valid_score", -1.0)) for one in stored]
        row = [
            name,
            ", ".join(str(one["seed"]) for one in stored),
            _spread([one["test_result"]["ndcg@10"] for one in stored]),
            _spread([one["test_result"]["recall@10"] for one in stored]),
            ", ".join(f"{one['train_cpu_seconds']:.0f}" for one in best),
            ", ".join(f"{one['train_cpu_seconds']:.0f}" for one in stored),
            stored[0]["fingerprint"]["test"],
        ]
        print("| " + " | ".join(row) + " |")


def _spread(values: list[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.4f} +- {statistics.stdev(values):.4f}" if len(values) > 1 else f"{mean:.4f}"


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run entries whose name contains this")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, spec in RUNS.items():
        for seed in spec["seeds"]:
            if arguments.only in name and not arguments.table and not (RESULTS / f"{name}-{seed}.json").exists():
                train(name, seed)
    table()


if __name__ == "__main__":
    main()
