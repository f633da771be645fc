"""Sparse gradients with LazyAdam against dense Adam, in quality: SASRecCorrectedLogQ on ml-100k, eight paired seeds.

    uv run benchmarks/quality_sparse.py [--only=NAME] [--seed=N] [--table]    # 16 runs, about 30 CPU-minutes; resumable

Leave-one-out in exact time order, full ranking with the history filtered, epoch chosen on validation NDCG@10 out of 40
epochs, one thread: the same steps on the same batches for both, so that the only thing that differs within a pair is
``sparse_embeddings``.
"""

from __future__ import annotations

import statistics

from scipy.stats import t
from stored_runs import Experiment, prints, spread

from recbole_logq.markup import markdown_table

MODEL = "SASRecCorrectedLogQ"
SEEDS = list(range(1, 9))
EXPERIMENT = Experiment(
    "quality_sparse",
    "ml-100k",
    {
        name: {"model": MODEL, "seeds": SEEDS, "settings": {"sparse_embeddings": sparse}}
        for name, sparse in (("dense", False), ("sparse", True))
    },
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "filter_history": True,
        "metrics": ["NDCG", "Recall"],
        "topk": [10, 100],
        "valid_metric": "NDCG@10",
        "dropout": 0.5,
        "positions": "learned",
        "train_batch_size": 64,
        "stopping_step": 1000,
        "epochs": 40,
        "eval_step": 2,
        "show_progress": False,
    },
)


def table() -> str:
    """Both, and the interval of the paired difference."""
    rows = EXPERIMENT.rows(
        lambda runs: [spread([run["test_result"][metric] for run in runs]) for metric in ("ndcg@10", "recall@100")]
    )
    lines = [markdown_table(["gradients", "seeds", "test NDCG@10", "test Recall@100"], rows)]
    dense, sparse = (EXPERIMENT.stored(name) for name in ("dense", "sparse"))
    if len(dense) == len(sparse) == len(SEEDS):
        lines += ["", _difference(dense, sparse), "", f"Test set: {prints(dense + sparse)}."]
    return "\n".join(lines)


def _difference(dense: list[dict], sparse: list[dict]) -> str:
    differences = [
        second["test_result"]["ndcg@10"] - first["test_result"]["ndcg@10"]
        for first, second in zip(dense, sparse, strict=True)
    ]
    mean = statistics.mean(differences)
    half = t.ppf(0.975, len(differences) - 1) * statistics.stdev(differences) / len(differences) ** 0.5
    return (
        f"Sparse minus dense, NDCG@10: {mean:+.4f}, 95 % interval {mean - half:+.4f} to {mean + half:+.4f} (paired t)."
    )


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
