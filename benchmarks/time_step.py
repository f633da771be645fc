"""What time in the encoder costs a training step, at length 200: each way of seeing it against none.

    uv run benchmarks/time_step.py [--repeats=5] [--steps=6] [--data_path=datasets] [--only=A,B]

ml-1m, one thread, one run, in turn. SASRecCorrectedLogQ with its defaults (width 64, two blocks, two heads, rotary
positions), windows of 200, 32 a batch. A step is everything between two batches: loader, forward, backward, Adam. All
variants train on the same batches.
"""

from __future__ import annotations

import argparse
import json
import statistics
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any, ClassVar

import torch
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "time_step.json"
BASE = "none"
VARIANTS: dict[str, dict[str, Any]] = {
    BASE: {},
    "gaps": {"time": "gaps"},
    "bias of each layer": {"time": "bias"},
    "bias of each layer, request known": {"time": "bias", "request_time": "known"},
    "bias, shared": {"time": "bias", "bias_weights": "shared"},
    "bias and relative positions": {"time": "bias", "positions": "relative"},
    "both, request known": {"time": "both", "request_time": "known"},
    "relative positions, no time": {"positions": "relative"},
    "ligr": {"block": "ligr"},
    "ligr, bias of each layer": {"block": "ligr", "time": "bias"},
    "hstu": {"block": "hstu"},
    "hstu, bias of each layer": {"block": "hstu", "time": "bias"},
}


class Candidate:
    """A model ready to take steps."""

    parts: ClassVar[dict[bool, Any]] = {}
    """The split dataset, with times and without: what it has depends on no other setting."""

    def __init__(self, settings: dict[str, Any], data_path: str) -> None:
        common = {"MAX_ITEM_LIST_LENGTH": 200, "train_batch_size": 32, "show_progress": False, "data_path": data_path}
        config = Config("SASRecCorrectedLogQ", "ml-1m", None, {**common, **settings})
        init_seed(config["seed"], True)
        if (timed := "time" in settings) not in self.parts:
            self.parts[timed] = split_dataset(config, create_dataset(config))
        parts = self.parts[timed]
        self.loader = create_loaders(config, parts[0], parts)[0]
        self.model = config.model_class(config, parts[0]).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)

    def measure(self, steps: int, turn: int) -> float:
        """CPU milliseconds that a thousand positives take, over a few steps; all have the same batches in a turn."""
        self.loader.generator.manual_seed(turn)
        batches = iter(self.loader)
        positives, start = 0, process_time()
        for _ in range(steps):
            batch = next(batches)
            self.optimizer.zero_grad(set_to_none=True)
            self.model.calculate_loss(batch).backward()
            self.optimizer.step()
            positives += batch.packing.n_tokens
        return (process_time() - start) / positives * 1e6


def main() -> None:
    """Measure in turn, so that a drift of the machine touches all alike; store and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--steps", type=int, default=6, help="steps of a measurement")
    parser.add_argument("--data_path", default="datasets")
    parser.add_argument("--only", default="", help=f"variants, separated by a semicolon, beside {BASE}: all by default")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    names = {BASE, *arguments.only.split(";")} if arguments.only else set(VARIANTS)
    chosen = {name: settings for name, settings in VARIANTS.items() if name in names}
    candidates = {name: Candidate(settings, arguments.data_path) for name, settings in chosen.items()}
    costs: dict[str, list[float]] = {name: [] for name in candidates}
    for candidate in candidates.values():
        candidate.measure(arguments.steps, 0)  # warm-up
    for turn in range(1, arguments.repeats + 1):
        for name, candidate in candidates.items():
            costs[name].append(candidate.measure(arguments.steps, turn))
    # Of each round, so that the machine's drift from one to the next has no part in a ratio.
    ratios = {name: [cost / base for cost, base in zip(costs[name], costs[BASE], strict=True)] for name in costs}
    rows = {
        name: {
            "ms_per_1000": statistics.median(costs[name]),
            "ratio": statistics.median(ratios[name]),
            "lowest": min(ratios[name]),
            "highest": max(ratios[name]),
        }
        for name in costs
    }
    spent = {"repeats": arguments.repeats, "steps": arguments.steps}
    content = {"rows": rows, **spent, "versions": versions(), "date": str(date.today())}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """What is stored."""
    if not RESULT.is_file():
        return "Not measured yet."
    content = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = []
    for name, row in content["rows"].items():
        span = f"{row['lowest']:.2f} - {row['highest']:.2f}"
        rows.append([name, f"{row['ms_per_1000']:.0f}", f"{row['ratio']:.2f}", span])
    times = markdown_table(["variant", "CPU ms for 1,000 positives", "times none", "lowest - highest"], rows)
    return f"{times}\n\nMedians of {content['repeats']} rounds of {content['steps']} steps each."


if __name__ == "__main__":
    main()
