"""Does `advise` order ways to train as validation does? Rank correlation over twelve settings on two datasets.

    uv run run_recbole_logq.py convert --input=amazon-sports.txt --dataset=sports   # one user a line, as published
    uv run benchmarks/advice.py [--only=NAME] [--seed=N] [--table]

For each dataset the advice is asked for once, for a fixed time on one thread; then every second way to train of that
list is trained for as many epochs as the advice says fit into the time, and its best NDCG@10 on validation is set
beside its score. ml-100k comes with RecBole. Spearman's correlation is printed with the number of settings; with a
correlation of no more than chance would give, the score is worth nothing, and the table says so as plainly.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from scipy.stats import spearmanr

from recbole_logq import run
from recbole_logq.experiment.run import versions
from recbole_logq.lab.advice import score_of
from recbole_logq.lab.advise import advise
from recbole_logq.markup import markdown_table

FOLDER = Path(__file__).parent / "results" / "advice"
MINUTES, MEMORY_MB, LEAST = 2.0, 2000.0, 12
DATASETS = ("ml-100k", "sports")


def score(name: str, seed: int) -> None:
    """Ask, train what is missing, and store each run beside its score."""
    file = FOLDER / f"{name}-{seed}.json"
    if file.is_file():
        report = json.loads(file.read_text(encoding="utf-8"))
    else:
        report = advise(dataset=name, minutes=MINUTES, memory_mb=MEMORY_MB, seed=seed, show_progress=False)
        report["versions"] = versions()
    FOLDER.mkdir(parents=True, exist_ok=True)
    for advice in report["advice"][::2]:
        if "valid" in advice:
            continue
        settings = {**advice["settings"], "epochs": max(round(advice["epochs"]), 1), "seed": seed}
        settings |= {"eval_step": max(settings["epochs"] // 4, 1), "valid_metric": "NDCG@10", "show_progress": False}
        settings |= {"checkpoint_dir": str(Path("saved") / "advice"), "use_gpu": False}
        result = run(f"{report['encoder']}{advice['recipe']}", name, config_dict=settings)
        advice |= {"valid": result["best_valid_score"], "fingerprint": result["fingerprint"]}
        file.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def table() -> str:
    """A line for each dataset and seed: settings, rank correlation, and what the first of the advice came to."""
    rows = []
    for file in sorted(FOLDER.glob("*.json")):
        runs = [advice for advice in json.loads(file.read_text(encoding="utf-8"))["advice"] if "valid" in advice]
        if len(runs) < LEAST:
            continue
        # The score as it is now, of what was measured then; the fewest negatives come in batches of the default size.
        default = min(runs, key=lambda advice: advice["n"])
        scores = [
            score_of(advice["bias"], advice["spread"], default["epochs"] * default["step_ms"] / advice["step_ms"])
            for advice in runs
        ]
        values = [advice["valid"] for advice in runs]
        order = spearmanr(scores, values)
        name, _, seed = file.stem.rpartition("-")
        first, best = values[scores.index(max(scores))], max(values)
        rows.append([name, seed, len(runs), f"{order.statistic:.2f}", f"{order.pvalue:.3f}"])
        rows[-1] += [f"{first:.4f}", f"{best:.4f}", f"{min(values):.4f}"]
    head = ["dataset", "seed", "settings", "Spearman", "p", "validation of the first", "of the best", "of the worst"]
    return markdown_table(head, rows) if rows else "Not measured yet."


def main() -> None:
    """Run what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=DATASETS, help="run this dataset only")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for name in DATASETS:
        if arguments.only in (None, name) and not arguments.table:
            score(name, arguments.seed)
    print(table())


if __name__ == "__main__":
    main()
