"""The encoder's options and the batch on ml-1m, one change at a time: what 600 CPU-seconds of training give.

    uv run benchmarks/encoder_ml1m.py [--only=NAME] [--seed=N] [--table]    # 31 runs, about 6 CPU-hours; resumable

Leave-one-out in exact time order, full ranking with the history filtered, epoch chosen on validation NDCG@10. All
options under mixed negatives with corrected logQ, 256 in 32 pools; the input also under the full softmax and
corrected logQ in batch; pools and batches of several sources. One thread per run; the budget is CPU time of training
alone, so that an option that costs more has fewer epochs, and a run ends with the epoch in which its budget does. The
default settings are written out here, since the package's may change after this. Options are chosen on validation;
the test result stands beside for the record.
"""

from __future__ import annotations

from typing import Any

from stored_runs import Experiment, best, prints, spread

SEEDS = [1]
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
}
CHANGES: dict[str, dict[str, Any]] = {
    "default": {},
    "ligr": {"block": "ligr"},
    "relu": {"feed_forward": "relu"},
    "swiglu": {"feed_forward": "swiglu", "inner_size": 171},  # as many parameters as the default has
    "rotary": {"positions": "rotary"},
    "no-positions": {"positions": "none"},
    "no-input-norm": {"input_norm": False},
    "initializer-0.1": {"initializer_range": 0.1},
    "scale-embedding": {"scale_embedding": True},
    "heads-1": {"n_heads": 1},
    "heads-4": {"n_heads": 4},
    "dropout-0.1": {"dropout": 0.1},
    "dropout-0.3": {"dropout": 0.3},
    "length-100": {"MAX_ITEM_LIST_LENGTH": 100},
    "length-200": {"MAX_ITEM_LIST_LENGTH": 200},
    "size-128": {"embedding_size": 128},
}
# An epoch sees more pools where batches are small, or where each serves a part of a batch.
BATCHES: dict[str, dict[str, Any]] = {"batch-32": {"train_batch_size": 32}}
SHARED: dict[str, dict[str, Any]] = {"pools-8": {"pools": 8}, "pools-32": {"pools": 32}}
# The encoder is looked for under the recipe that does best with 256 negatives, and its input under two losses more.
INPUTS = {name: CHANGES[name] for name in ("default", "no-input-norm", "length-200")}
VARIANTS = {
    "SASRecMNSCorrectedLogQ": (
        {"default": {}}
        | BATCHES
        | SHARED
        | {f"pools-32-{name}": {"pools": 32} | one for name, one in CHANGES.items() if one}
    ),
    "SASRecFullSoftmax": INPUTS,
    "SASRecCorrectedLogQ": INPUTS | {"negatives-1024": {"negatives.count": 1024}} | SHARED,
    "SASRecUniform": {"default": {}} | SHARED,
}
RUNS = {f"{model}-{name}": (model, changes) for model, names in VARIANTS.items() for name, changes in names.items()}
EXPERIMENT = Experiment(
    "encoder_ml1m",
    "ml-1m",
    {
        run: {
            "model": model,
            "seeds": SEEDS,
            "settings": DEFAULT | ({} if model == "SASRecFullSoftmax" else {"negatives.count": 256}) | changes,
        }
        for run, (model, changes) in RUNS.items()
    },
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "filter_history": True,
        "metrics": ["NDCG", "Hit"],
        "topk": [10, 100],
        "valid_metric": "NDCG@10",
        "max_train_cpu_seconds": 600.0,
        "stopping_step": 1000,
        "epochs": 10000,
        "show_progress": False,
    },
)


def _line(run: str) -> tuple[float, str]:
    """Validation NDCG@10 to sort by, and the table's line."""
    model, changes = RUNS[run]
    name = run.removeprefix(f"{model}-")
    change = ", ".join(f"{key}={value}" for key, value in changes.items()) or "nothing"
    runs = EXPERIMENT.stored(run)
    valid = [one["best_valid_result"]["ndcg@10"] for one in runs]
    cells = [
        ", ".join(str(one["seed"]) for one in runs),
        spread(valid),
        *(spread([one["test_result"][metric] for one in runs]) for metric in ("ndcg@10", "hit@10")),
        ", ".join(f"{best(one['history'])['cpu']:.0f}" for one in runs),
        ", ".join(str(len(one["history"])) for one in runs),
    ]
    return sum(valid) / len(valid), f"| {model} | {name} | {change} | {' | '.join(cells)} |"


def table() -> str:
    """Each loss's variants that have run, by validation NDCG@10, the best first."""
    lines = [
        "| model | variant | changed | seeds | valid NDCG@10 | test NDCG@10 | test HR@10 | best at CPU s | epochs |",
        "|---" * 9 + "|",
    ]
    for model in VARIANTS:
        found = [_line(run) for run, (of, _) in RUNS.items() if of == model and EXPERIMENT.stored(run)]
        lines += [line for _, line in sorted(found, key=lambda pair: -pair[0])]
    runs = [one for run in RUNS for one in EXPERIMENT.stored(run)]
    total = len(RUNS) * len(SEEDS)
    return "\n".join([*lines, "", f"{len(runs)} of {total} runs. Test sets: {prints(runs) or '-'}."])


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
