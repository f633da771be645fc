"""Whether today's training step has lost quality: ml-1m trained by an earlier revision and by this one, paired seeds.

    uv run benchmarks/step_quality.py --before=FOLDER    # another checkout, with its own .venv; resumable
    uv run benchmarks/step_quality.py --table            # only what is stored

Leave-one-out in exact time order, full ranking, epoch chosen on validation NDCG@10, width 64, one thread. Seeds and
settings are the same; weights, batches and negatives need not be, since a revision draws them as it does. A run takes
one to three CPU-minutes, and every one of them is a command of its own, with the checkout's code and interpreter.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

from recommend_start import ROOT, revision, started
from stored_runs import prints

from recbole_logq.evaluation.statistics import interval, paired_over_seeds
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "step_quality.json"
SEEDS = (1, 2, 3)
MODELS = {"TwoTowerCorrectedLogQ": ["--epochs=10", "--eval_step=5"], "SASRecMNSLogQ": ["--epochs=4", "--eval_step=2"]}
SETTINGS = ["--dataset=ml-1m", "--embedding_size=64", "--use_gpu=false", "--show_progress=false", "--state=ERROR"]
SETTINGS += ["--eval_args={split: {LS: valid_and_test}, order: TO}", "--metrics=[NDCG]", "--topk=[10]"]
SETTINGS += ["--valid_metric=NDCG@10", "--metric_decimal_place=6", "--stopping_step=100"]
WHO = ("before", "now")
KINDS = {"validation": "best_valid_result", "test": "test_result"}


def main() -> None:
    """Train what is missing, store after each run, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--before", type=Path, help="checkout of the earlier revision")
    parser.add_argument("--data_path", type=Path, default=ROOT / "datasets", help="folder with ml-1m")
    parser.add_argument("--only", choices=WHO, help="runs of one revision")
    parser.add_argument("--table", action="store_true", help="train nothing")
    parser.add_argument("--output", type=Path, default=RESULT)
    arguments = parser.parse_args()
    checkouts = {**({"before": arguments.before.resolve()} if arguments.before else {}), "now": ROOT}
    if not arguments.table:
        for model in MODELS:
            for seed in SEEDS:
                for side, checkout in checkouts.items():
                    if arguments.only in (None, side):
                        train(arguments, side, checkout, model, seed)
    print(table(arguments.output))


def train(arguments: argparse.Namespace, side: str, checkout: Path, model: str, seed: int) -> None:
    """One run, unless it is stored."""
    stored = _read(arguments.output)
    name = f"{model}, seed {seed}, {side}"
    if name in stored["runs"]:
        return
    with tempfile.TemporaryDirectory() as folder:
        command = ["-m", "recbole_logq", f"--model={model}", *SETTINGS, *MODELS[model], f"--seed={seed}"]
        command += [f"--data_path={arguments.data_path.resolve()}", "--output=out.json", "--checkpoint_dir=saved"]
        spent = started(checkout, Path(folder), command)
        result = json.loads((Path(folder) / "out.json").read_text(encoding="utf-8"))
    metrics = {kind: result[key]["ndcg@10"] for kind, key in KINDS.items()}
    stored = _read(arguments.output)
    stored["runs"][name] = {**metrics, **spent, "revision": revision(checkout), "fingerprint": result["fingerprint"]}
    stored |= {"date": date.today().isoformat(), "versions": versions()}
    arguments.output.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
    print(f"{name}: {stored['runs'][name]}", flush=True)


def _read(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {"runs": {}}
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return stored


def table(path: Path = RESULT) -> str:
    """The stored result as Markdown; a line that says so where there is none yet."""
    runs = _read(path)["runs"]
    rows = []
    for model in MODELS:
        pairs = [[runs.get(f"{model}, seed {seed}, {side_name}") for seed in SEEDS] for side_name in WHO]
        if not all(run for side in pairs for run in side):
            continue
        before, now = pairs
        for kind in KINDS:
            old, new = ([run[kind] for run in side] for side in (before, now))
            difference = paired_over_seeds(new, old)
            assert difference is not None
            mean, half = difference.difference, difference.half_width
            spread = [f"{estimate.mean:.4f} ± {estimate.half_width:.4f}" for estimate in (interval(old), interval(new))]
            rows.append([model, kind, *spread, f"{mean:+.4f} ({mean - half:+.4f} to {mean + half:+.4f})"])
    if not rows:
        return "Not measured yet."
    heads = ["model", "NDCG@10", "before", "now", "now less before (95 % interval)"]
    by_side = (
        (side_name, {run["revision"] for name, run in runs.items() if name.endswith(side_name)}) for side_name in WHO
    )
    revisions = " and ".join(f"`{', '.join(sorted(names))}` ({side_name})" for side_name, names in by_side)
    text = f"Seeds {', '.join(map(str, SEEDS))}; mean and difference with Student's t interval. Revisions {revisions}."
    return f"{markdown_table(heads, rows)}\n\n{text} Test set: {prints(runs.values())}."


if __name__ == "__main__":
    main()
