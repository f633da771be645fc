"""What estimators do to the gradient of trained models: sources x numbers of negatives x own items.

    uv run run_recbole_logq.py convert --input=amazon-sports.txt --dataset=sports   # one user a line, as published
    uv run benchmarks/trained_bias.py [--only=NAME] [--train] [--table]

Trains each model once (`saved/trained_bias/`, one thread), then examines it. Results are kept in
benchmarks/results/trained_bias/; delete a file there to measure it again. `--train` stops after training.
"""

from __future__ import annotations

import argparse
import itertools
import json
import re
from pathlib import Path
from time import process_time
from typing import Any

import torch

from recbole_logq import run
from recbole_logq.experiment.restore import restore_own
from recbole_logq.experiment.run import versions
from recbole_logq.lab.checkpoint_subject import checkpoint_subject
from recbole_logq.lab.command import about, entry
from recbole_logq.lab.estimator import Estimator

FOLDER = Path(__file__).parent / "results" / "trained_bias"
CHECKPOINTS = Path("saved") / "trained_bias"
SOURCES = (
    "CorrectedLogQ",
    "LogQ",
    "MNSCorrectedLogQ",
    "Popularity",
    "corrected_logq+in_batch_unique",
    "Systematic",
)
OWN = ("", ":own=window")
COUNTS = (256, 64, 1024)
ROWS, POOLS = 64, 48
_SPORTS = {"dropout": 0.5, "positions": "learned", "train_batch_size": 256}
MODELS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "sports": ("SASRecCorrectedLogQ", "sports", {"epochs": 20, **_SPORTS}),
    "ml-1m": ("SASRecCorrectedLogQ", "ml-1m", {"epochs": 2, "positions": "learned"}),
    "two-tower": ("TwoTowerCorrectedLogQ", "ml-1m", {"epochs": 3}),
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


def examine(name: str) -> None:
    """Measure what is missing of a model; what is measured is stored at once."""
    file = FOLDER / f"{name}.json"
    report: dict[str, Any] = json.loads(file.read_text(encoding="utf-8")) if file.is_file() else {"estimators": []}
    known = {(one["estimator"], one["n"]) for one in report["estimators"]}
    jobs = [(source + own, n) for n, source, own in itertools.product(COUNTS, SOURCES, OWN)]
    missing = [job for job in jobs if job not in known]
    if not missing:
        return
    training = json.loads((CHECKPOINTS / name / "done.json").read_text(encoding="utf-8"))
    subject = checkpoint_subject(restore_own(trained(name), state="WARNING", show_progress=False), ROWS)
    report = {**about(subject), "pools": POOLS, "seed": 0, "versions": versions(), "training": training} | report
    FOLDER.mkdir(parents=True, exist_ok=True)
    for estimator, n in missing:
        start = process_time()
        one = entry(Estimator.parse(estimator), subject, n, POOLS)
        report["estimators"].append(one | {"cpu_seconds": round(process_time() - start, 1)})
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


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
            if not arguments.train:
                examine(name)


if __name__ == "__main__":
    main()
