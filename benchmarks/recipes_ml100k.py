"""All recipes for both encoders on ml-100k: what 60 CPU-seconds of training give, three seeds.

    uv run benchmarks/recipes_ml100k.py [--only=NAME] [--seed=N] [--table]    # 114 runs, about 2.5 CPU-hours; resumable

One protocol for both encoders: leave-one-out in exact time order, full ranking with the history filtered, epoch chosen
on validation NDCG@10. One thread per run; the budget is CPU time of training alone. Settings are the packaged defaults,
the same for all recipes of an encoder, but for the dropout of 0.5 that SASRec needs on data so small.
"""

from __future__ import annotations

from typing import Any

from stored_runs import Experiment, prints, spread

from recbole_logq.markup import markdown_table
from recbole_logq.models.resolve import own_models

# In the order of the table; the listing of the package decides what there is.
MODELS = own_models()
SEQUENTIAL: dict[str, Any] = {"dropout": 0.5, "train_batch_size": 64, "positions": "learned"}
METRICS = ("ndcg@10", "recall@100", "itemcoverage@10", "averagepopularity@10")
EXPERIMENT = Experiment(
    "recipes_ml100k",
    "ml-100k",
    {
        model: {"model": model, "seeds": [1, 2, 3], "settings": SEQUENTIAL if model.startswith("SASRec") else {}}
        for model in MODELS
    },
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "filter_history": True,
        "metrics": ["NDCG", "Recall", "ItemCoverage", "AveragePopularity"],
        "topk": [10, 100],
        "valid_metric": "NDCG@10",
        "max_train_cpu_seconds": 60.0,
        "stopping_step": 1000,
        "epochs": 10000,
        "eval_step": 2,
        "show_progress": False,
    },
)


def table() -> str:
    """Mean and standard deviation over seeds, the best recipe of each encoder first."""
    head = ["model", "seeds", "NDCG@10", "Recall@100", "coverage@10", "average popularity@10"]
    prefixes: dict[str, list[tuple[float, list[str]]]] = {"TwoTower": [], "SASRec": []}
    for model in MODELS:
        runs = EXPERIMENT.stored(model)
        if not runs:
            continue
        encoder = next(prefix for prefix in prefixes if model.startswith(prefix))
        values = [[run["test_result"][metric] for run in runs] for metric in METRICS]
        cells = [spread(column) for column in values[:3]]
        popularity = sum(values[3]) / len(values[3])
        seeds = ", ".join(str(run["seed"]) for run in runs)
        row = [model, seeds, *cells, f"{popularity:.0f}"]
        prefixes[encoder].append((sum(values[0]) / len(runs), row))
    rows = [row for of_encoder in prefixes.values() for _, row in sorted(of_encoder, reverse=True)]
    first = [EXPERIMENT.stored(model) for model in MODELS]
    splits = ", ".join(dict.fromkeys(prints(runs) for runs in first if runs))
    return f"{markdown_table(head, rows)}\n\nTest sets: {splits or '-'}."


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
