"""The encoder's options, the batch and the pools on ml-1m, one change at a time: what 40 epochs of training give.

    uv run benchmarks/encoder_ml1m.py [--only=REGEX] [--seed=N] [--table]    # resumable; made on a GPU, see the table

Leave-one-out in exact time order, full ranking with the history filtered, validation every four epochs. Variants are
compared after the same number of epochs, so what an option costs stands beside it. All options under mixed negatives
with corrected logQ, 256 in 8 pools; some also under other losses. The settings that they depart from are written out
here, since the package's may change after this. The test part is not shown: options are chosen on validation.

What is stored was made on a GPU with fifteen processes at a time, each `--only` its own variant, stopped together after
four minutes; what a stopped run had reached was read off its log. A stored run is not trained again: remove its file to
have the rest of its epochs.
"""

from __future__ import annotations

from typing import Any

from stored_runs import Experiment, prints

from recbole_logq.markup import markdown_table

SEEDS = [1]
EPOCHS, COMPARED = (8, 20, 32, 40), 32
"""Shown, and sorted by."""
DEFAULT: dict[str, Any] = {
    "embedding_size": 64,
    "n_layers": 2,
    "n_heads": 2,
    "inner_size": 256,
    "dropout": 0.2,
    "block": "classic",
    "norm": "pre",
    "feed_forward": "gelu",
    "positions": "learned",
    "input_norm": True,
    "scale_embedding": False,
    "initializer_range": 0.02,
    "MAX_ITEM_LIST_LENGTH": 50,
    "train_batch_size": 128,
    "learning_rate": 0.001,
    "lr_schedule": "constant",
}
WIDE: dict[str, Any] = {"embedding_size": 128, "inner_size": 512}
CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "pools-1": {"pools": 1},
    "dropout-0.5": {"dropout": 0.5},
    "size-128": WIDE,
    "size-128-dropout-0.5": {**WIDE, "dropout": 0.5},
    "cosine": {"lr_schedule": "cosine"},
    "length-200": {"MAX_ITEM_LIST_LENGTH": 200, "train_batch_size": 32},
    "ligr-swiglu": {"block": "ligr", "feed_forward": "swiglu", "inner_size": 171},  # as many parameters as gelu
    "rotary": {"positions": "rotary"},
    "no-input-norm": {"input_norm": False},
    "batch-32": {"train_batch_size": 32},
    "pools-32": {"pools": 32},
    "initializer-0.1": {"initializer_range": 0.1},
    "dropout-0.3": {"dropout": 0.3},
    "ligr": {"block": "ligr"},
    "swiglu": {"feed_forward": "swiglu", "inner_size": 171},
    "relu": {"feed_forward": "relu"},
    "no-positions": {"positions": "none"},
    "scale-embedding": {"scale_embedding": True},
    "heads-1": {"n_heads": 1},
    "heads-4": {"n_heads": 4},
    "layers-3": {"n_layers": 3},
    "rate-0.002": {"learning_rate": 0.002},
    "post-norm": {"norm": "post"},
}
SAMPLED: dict[str, Any] = {"negatives.count": 256, "pools": 8}
SOURCES = {name: CHANGES[name] for name in ("default", "pools-1")}
VARIANTS = {
    "SASRecMNSCorrectedLogQ": CHANGES,
    "SASRecFullSoftmax": {name: CHANGES[name] for name in ("default", "size-128-dropout-0.5", "no-input-norm")},
    "SASRecUniform": SOURCES,
    "SASRecCorrectedLogQ": SOURCES | {"negatives-1024": {"negatives.count": 1024, "pools": 1}},
    "SASRecLogQ": SOURCES,
}
RUNS = {f"{model}-{name}": (model, changes) for model, names in VARIANTS.items() for name, changes in names.items()}
EXPERIMENT = Experiment(
    "encoder_ml1m",
    "ml-1m",
    {
        run: {
            "model": model,
            "seeds": SEEDS,
            "settings": DEFAULT | ({} if model == "SASRecFullSoftmax" else SAMPLED) | changes,
        }
        for run, (model, changes) in RUNS.items()
    },
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "filter_history": True,
        "metrics": ["NDCG", "Hit"],
        "topk": [10, 100],
        "valid_metric": "NDCG@10",
        "epochs": 40,
        "eval_step": 4,
        "stopping_step": 1000,
        "show_progress": False,
    },
)


def _line(run: str) -> tuple[tuple[bool, float], list[str]]:
    """What to sort by, and the table's line."""
    model, changes = RUNS[run]
    name = run.removeprefix(f"{model}-")
    change = ", ".join(f"{key}={value}" for key, value in changes.items()) or "nothing"
    (result,) = EXPERIMENT.stored(run)
    valid, last = {row["epoch"]: row["valid"] for row in result["history"]}, result["history"][-1]
    cells = [f"{valid[epoch]:.4f}" if epoch in valid else "-" for epoch in EPOCHS]
    compared = valid.get(COMPARED)
    line = [model, name, change, *cells, f"{last['seconds'] / last['epoch']:.1f}"]
    return (compared is not None, compared or last["valid"]), line


def table() -> str:
    """Each loss's variants that have run, by validation NDCG@10, the best first."""
    head = ["model", "variant", "changed", *(f"epoch {epoch}" for epoch in EPOCHS), "seconds an epoch"]
    lines = []
    for model in VARIANTS:
        rows = [_line(run) for run, (of, _) in RUNS.items() if of == model and EXPERIMENT.stored(run)]
        lines += [line for _, line in sorted(rows, reverse=True)]
    runs = [result for run in RUNS for result in EXPERIMENT.stored(run)]
    devices = ", ".join(dict.fromkeys(result["device"]["name"] for result in runs))
    cut = sum("cut" in result for result in runs)
    return "\n".join(
        [
            markdown_table(head, lines),
            "",
            f"Validation NDCG@10, seed 1, {len(runs)} of {len(RUNS)} variants, on {devices}, 15 at a time; "
            f"{cut} of them were cut after four minutes. Test set, not looked at: {prints(runs) or '-'}.",
        ]
    )


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
