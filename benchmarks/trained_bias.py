"""What estimators do to the gradient of trained models: sources x numbers of negatives x own items.

    uv run run_recbole_logq.py convert --input=amazon-sports.txt --dataset=sports   # one user a line, as published
    uv run benchmarks/trained_bias.py [--only=NAME] [--train] [--table]

Trains each model once (`saved/trained_bias/`, one thread), then examines it. Results are kept in
benchmarks/results/trained_bias/; delete a file there to measure it again. `--train` stops after training.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from time import process_time
from typing import Any

import torch

from recbole_logq import run

FOLDER = Path(__file__).parent / "results" / "trained_bias"
CHECKPOINTS = Path("saved") / "trained_bias"
_SPORTS = {"dropout": 0.5, "positions": "learned", "train_batch_size": 256}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sports": ("SASRecCorrectedLogQ", "sports", {"epochs": 20, **_SPORTS}),
    "ml-1m": ("SASRecCorrectedLogQ", "ml-1m", {"epochs": 10, "positions": "learned"}),
    "two-tower": ("TwoTowerCorrectedLogQ", "ml-1m", {"epochs": 5}),
    "sports-full": ("SASRecFullSoftmax", "sports", {"epochs": 20, **_SPORTS}),
}


def trained(name: str) -> str:
    """The checkpoint of a model, which is trained once."""
    model, dataset, settings = MODELS[name]
    folder = CHECKPOINTS / name
    done = folder / "done.json"
    if done.is_file():
        return str(json.loads(done.read_text(encoding="utf-8"))["checkpoint"])
    known = sorted(folder.glob("*-last.pth"))
    settings = {
        "eval_step": settings["epochs"],
        "valid_metric": "NDCG@10",
        "show_progress": False,
        "seed": 1,
    } | settings
    settings |= {"checkpoint_dir": str(folder), "use_gpu": False}
    start = process_time()
    result = run(model, dataset, config_dict=settings, resume=str(known[-1]) if known else None)
    kept = {key: result[key] for key in ("checkpoint", "best_valid_result", "test_result", "protocol", "fingerprint")}
    done.write_text(json.dumps(kept | {"cpu_seconds": process_time() - start}) + "\n", encoding="utf-8")
    return str(result["checkpoint"])


def main() -> None:
    """Train and measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="models in whose name this regular expression is found")
    parser.add_argument("--train", action="store_true", help="train only")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in MODELS:
        if re.search(arguments.only, name) and not arguments.table:
            trained(name)


if __name__ == "__main__":
    main()
