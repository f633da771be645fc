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
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}-{seed}.json"
    path.write_text(json.dumps(compact(result)) + "\n", encoding="utf-8")


def compact(result: dict[str, Any]) -> dict[str, Any]:
    """What the tables need: the result, how it was made, and one line an epoch."""
    kept = ("model", "dataset", "seed", "given", "versions", "fingerprint", "test_result", "best_valid_result")
    history = [
        {
            "cpu": row["train_cpu_seconds"],
            "valid": row["valid_score"],
            "test": row["observed_result"]["ndcg@10"],
        }
        for row in result["history"]
    ]
    return {key: result[key] for key in (*kept, "peak_memory_mb")} | {"history": history}


def stored(name: str) -> list[dict[str, Any]]:
    """The finished runs of an entry."""
    files = [RESULTS / f"{name}-{seed}.json" for seed in RUNS[name]["seeds"]]
    return [json.loads(file.read_text(encoding="utf-8")) for file in files if file.is_file()]


def best(history: list[dict[str, Any]]) -> dict[str, Any]:
    """The epoch that training kept: of several with the best validation score, the last."""
    return max(reversed(history), key=lambda row: row["valid"])


def table() -> str:
    """Test NDCG@10 of the epoch that validation chose, mean and standard deviation over seeds."""
    lines = ["| run | seeds | test NDCG@10 | test Recall@10 | best epoch at CPU s | CPU s in all | test split |"]
    lines.append("|---|---|---|---|---|---|---|")
    for name in RUNS:
        runs = stored(name)
        if not runs:
            continue
        row = [
            name,
            ", ".join(str(one["seed"]) for one in runs),
            _spread([one["test_result"]["ndcg@10"] for one in runs]),
            _spread([one["test_result"]["recall@10"] for one in runs]),
            ", ".join(f"{best(one['history'])['cpu']:.0f}" for one in runs),
            ", ".join(f"{one['history'][-1]['cpu']:.0f}" for one in runs),
            # General models are split at random by the seed, so each seed has its own test set.
            ", ".join(dict.fromkeys(f"`{one['fingerprint']['test']}`" for one in runs)),
        ]
        lines.append("| " + " | ".join(row) + " |")
    return "\n".join(lines)


MILESTONES = (30, 60, 120, 300, 600, 1800, 3600, 7200)


def curve() -> str:
    """Test NDCG@10 against CPU seconds of training: at each, of the epoch that is best on validation so far."""
    names = [name for name in RUNS if "SASRec" in name and stored(name)]
    lines = ["| CPU s | " + " | ".join(names) + " |", "|---" * (len(names) + 1) + "|"]
    for limit in MILESTONES:
        cells = []
        for name in names:
            values = []
            for one in stored(name):
                seen = [row for row in one["history"] if row["cpu"] <= limit]
                values += [best(seen)["test"]] if seen else []
            ended = all(one["history"][-1]["cpu"] <= limit for one in stored(name))
            mark = " (ended)" if ended else ""
            cells.append(f"{statistics.mean(values):.4f}{mark}" if len(values) == len(stored(name)) else "-")
        lines.append(f"| {limit:,} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _spread(values: list[float]) -> str:
    mean = statistics.mean(values)
    return f"{mean:.4f} ± {statistics.stdev(values):.4f}" if len(values) > 1 else f"{mean:.4f}"


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="run entries whose name contains this")
    parser.add_argument("--seed", type=int, help="run this seed only")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name, spec in RUNS.items():
        for seed in spec["seeds"]:
            wanted = arguments.only in name and arguments.seed in (None, seed) and not arguments.table
            if wanted and not (RESULTS / f"{name}-{seed}.json").exists():
                train(name, seed)
    print(table(), curve(), sep="\n\n")


if __name__ == "__main__":
    main()
