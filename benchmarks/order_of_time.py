"""What RecBole's order of time does to its own models: the same runs on RecBole's order and on the exact one.

    uv run benchmarks/order_of_time.py [--only=NAME] [--seed=N] [--table]

ml-100k, leave-one-out, history filtered for all models, full ranking. RecBole's packaged settings of ml-100k bring
times to [0, 1] before they become float32, which hides most of the effect there; every other dataset keeps Unix times.
So the runs are made with normalize_all off. One thread per run. The sequential models get the same CPU time in both
orders, with histories of 20 items, which lets them see several epochs in it.
"""

from __future__ import annotations

import statistics
from typing import Any

from stored_runs import Experiment, prints, spread

from recbole_logq.markup import markdown_table

SEQUENTIAL: dict[str, Any] = {
    "train_neg_sample_args": None,
    "loss_type": "CE",
    "MAX_ITEM_LIST_LENGTH": 20,
    "max_train_cpu_seconds": 600.0,
}
MODELS: dict[str, dict[str, Any]] = {"BPR": {}, "ItemKNN": {}, "GRU4Rec": SEQUENTIAL, "SASRec": SEQUENTIAL}
EXPERIMENT = Experiment(
    "order_of_time",
    "ml-100k",
    {
        f"{model}-{'recbole' if recbole else 'exact'}": {
            "model": model,
            # ItemKNN has no randomness.
            "seeds": [1] if model == "ItemKNN" else [1, 2, 3],
            "settings": {**settings, "recbole_order": recbole},
        }
        for model, settings in MODELS.items()
        for recbole in (True, False)
    },
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "filter_history": True,
        "normalize_all": False,
        "valid_metric": "NDCG@10",
        "show_progress": False,
    },
)


def table() -> str:
    """Test NDCG@10 and HR@10 in both orders, and the difference seed by seed."""
    head = ["model", "seeds", "NDCG@10, RecBole's order", "NDCG@10, exact order", "difference by seed"]
    head += ["HR@10, RecBole's", "HR@10, exact"]
    rows = []
    for model in MODELS:
        theirs, ours = (EXPERIMENT.stored(f"{model}-{order}") for order in ("recbole", "exact"))
        pairs = [(a, b) for a in theirs for b in ours if a["seed"] == b["seed"]]
        if not pairs:
            continue
        change = [b["test_result"]["ndcg@10"] - a["test_result"]["ndcg@10"] for a, b in pairs]
        row = [
            model,
            ", ".join(str(a["seed"]) for a, _ in pairs),
            *(spread([pair[side]["test_result"]["ndcg@10"] for pair in pairs]) for side in (0, 1)),
            f"{statistics.mean(change):+.4f} ({', '.join(f'{value:+.4f}' for value in change)})",
            *(spread([pair[side]["test_result"]["hit@10"] for pair in pairs]) for side in (0, 1)),
        ]
        rows.append(row)
    split = {order: prints(EXPERIMENT.stored(f"ItemKNN-{order}")) for order in ("recbole", "exact")}
    return (
        f"{markdown_table(head, rows)}\n\nTest sets: {split['recbole']} in RecBole's order, {split['exact']} in exact "
        "order."
    )


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
