"""The laboratory's tables: the synthetic world, and a trained SASRecCorrectedLogQ on ml-1m with its real batches.

    uv run benchmarks/laboratory.py [--table]    # trains 20 epochs once (about eight CPU-minutes), then examines

Results are kept in benchmarks/results/laboratory/; delete a file there to measure it again.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from time import perf_counter
from typing import Any

import torch

from recbole_logq import run
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.lab.command import gradients
from recbole_logq.lab.lab_report import heading, markdown

FOLDER = Path(__file__).parent / "results" / "laboratory"
CHECKPOINTS = Path("saved") / "laboratory"


def main() -> None:
    """Measure what is missing, then print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--table", action="store_true", help="run nothing")
    if not parser.parse_args().table:
        torch.set_num_threads(1)
        _measure("synthetic", {"counts": [64, 256, 1024, 4096]})
        if not (FOLDER / "ml-1m.json").is_file():
            _measure("ml-1m", {"checkpoint": _trained(), "counts": [64, 256, 1024]})
    print("\n\n".join(table(name) for name in ("synthetic", "ml-1m")))


def table(name: str) -> str:
    """What was examined, how long it took, and the table."""
    file = FOLDER / f"{name}.json"
    if not file.is_file():
        return "Not measured yet."
    report = json.loads(file.read_text(encoding="utf-8"))
    return f"{heading(report)}; {report['seconds']:.0f} s on one thread.\n\n{markdown(report)}"


def _measure(name: str, options: dict[str, Any]) -> None:
    if (FOLDER / f"{name}.json").is_file():
        return
    start = perf_counter()
    report = gradients(**options)
    report |= {"seconds": round(perf_counter() - start, 1), "versions": versions()}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / f"{name}.json").write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _trained() -> str:
    """The best checkpoint of a run that is made once."""
    known = sorted(CHECKPOINTS.glob("*-last.pth"))
    settings = {"epochs": 20, "eval_step": 5, "valid_metric": "NDCG@10", "positions": "learned", "show_progress": False}
    settings |= {"checkpoint_dir": str(CHECKPOINTS), "seed": 1}
    result = run("SASRecCorrectedLogQ", "ml-1m", config_dict=settings, resume=str(known[-1]) if known else None)
    return str(result["checkpoint"])


if __name__ == "__main__":
    main()
