"""Quality on ml-100k: this package's models at convergence against RecBole's SASRec (CE) and BPR.

    uv run benchmarks/quality_ml100k.py                  # all runs that are missing, then the table
    uv run benchmarks/quality_ml100k.py --only=recbole   # runs whose name contains "recbole"
    uv run benchmarks/quality_ml100k.py --table          # only the table of what is stored

The epoch is chosen on validation NDCG@10. One thread per run; CPU seconds are those of training alone.
"""

from __future__ import annotations

import statistics
from typing import Any

from stored_runs import Experiment, best, prints, spread

from recbole_logq.markup import markdown_table

# Leave-one-out in exact time order for every sequential model, RecBole's random 80/10/10 split for general ones.
# Dropout and batch were chosen on validation (0.5 is also RecBole's default).
SEQUENTIAL: dict[str, Any] = {"dropout": 0.5, "train_batch_size": 64, "positions": "learned", "stopping_step": 20}
EXPERIMENT = Experiment(
    "quality_ml100k",
    "ml-100k",
    {
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
        "TwoTowerCorrectedLogQ": {
            "model": "TwoTowerCorrectedLogQ",
            "seeds": [1, 2, 3],
            "settings": {"stopping_step": 20},
        },
    },
    {"valid_metric": "NDCG@10", "show_progress": False, "epochs": 1000},
)
MILESTONES = (30, 60, 120, 300, 600, 1800, 3600, 7200)


def table() -> str:
    """Test NDCG@10 of the epoch that validation chose, mean and standard deviation over seeds."""
    head = ["run", "seeds", "test NDCG@10", "test Recall@10", "best epoch at CPU s", "CPU s in all", "test split"]

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        return [
            spread([run["test_result"]["ndcg@10"] for run in runs]),
            spread([run["test_result"]["recall@10"] for run in runs]),
            ", ".join(f"{best(run['history'])['cpu']:.0f}" for run in runs),
            ", ".join(f"{run['history'][-1]['cpu']:.0f}" for run in runs),
            prints(runs),  # general models are split at random by the seed, so each seed has its own test set
        ]

    return markdown_table(head, EXPERIMENT.rows(cells))


def curve() -> str:
    """Test NDCG@10 against CPU seconds of training: at each, of the epoch that is best on validation so far."""
    names = [name for name in EXPERIMENT.runs if "SASRec" in name and EXPERIMENT.stored(name)]
    lines = []
    for limit in MILESTONES:
        cells = []
        for name in names:
            runs, values = EXPERIMENT.stored(name), []
            for run in runs:
                seen = [row for row in run["history"] if row["cpu"] <= limit]
                values += [best(seen)["test"]] if seen else []
            ended = all(run["history"][-1]["cpu"] <= limit for run in runs)
            mark = " (ended)" if ended else ""
            cells.append(f"{statistics.mean(values):.4f}{mark}" if len(values) == len(runs) else "-")
        lines.append([f"{limit:,}", *cells])
    return markdown_table(["CPU s", *names], lines)


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", lambda: f"{table()}\n\n{curve()}")
