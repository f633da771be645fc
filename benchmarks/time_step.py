"""What time in the encoder costs a training step, at length 200: each way of seeing it against none.

    uv run benchmarks/time_step.py [--repeats=7] [--data_path=datasets] [--only=TEXT]

ml-1m, one thread, one run, in turn. SASRecCorrectedLogQ with its defaults (width 64, two blocks, two heads, rotary
positions), windows of 200, 32 a batch. A step is everything between two batches: loader, forward, backward, Adam. All
variants train on the same number of positives a step on average.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.experiment.machine_facts import versions

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
STEPS = 6


class Candidate:
    """A model ready to take steps."""

    def __init__(self, settings: dict[str, Any], data_path: str) -> None:
        common = {"MAX_ITEM_LIST_LENGTH": 200, "train_batch_size": 32, "show_progress": False, "data_path": data_path}
        config = Config("SASRecCorrectedLogQ", "ml-1m", None, {**common, **settings})
        init_seed(config["seed"], True)
        parts = split_dataset(config, create_dataset(config))
        self.loader = create_loaders(config, parts[0], parts)[0]
        self.batches = self._endless()
        self.model = config.model_class(config, parts[0]).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=True)

    def _endless(self) -> Iterator[Any]:
        while True:
            yield from self.loader

    def measure(self) -> float:
        """Milliseconds a thousand positives take, over a few steps."""
        positives, start = 0, process_time()
        for _ in range(STEPS):
            batch = next(self.batches)
            self.optimizer.zero_grad(set_to_none=True)
            self.model.calculate_loss(batch).backward()
            self.optimizer.step()
            positives += batch.packing.n_tokens
        return (process_time() - start) / positives * 1e6


def main() -> None:
    """Measure in turn, so that a drift of the machine touches all alike; print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--data_path", default="datasets")
    parser.add_argument("--only", default="", help="variants whose names contain it; nothing is stored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    chosen = {name: settings for name, settings in VARIANTS.items() if name == BASE or arguments.only in name}
    candidates = {name: Candidate(settings, arguments.data_path) for name, settings in chosen.items()}
    costs: dict[str, list[float]] = {name: [] for name in candidates}
    for candidate in candidates.values():
        candidate.measure()  # warm-up
    for _ in range(arguments.repeats):
        for name, candidate in candidates.items():
            costs[name].append(candidate.measure())
    # Of each round, so that the machine's drift from one to the next has no part in a ratio.
    ratios = {name: [one / base for one, base in zip(costs[name], costs[BASE], strict=True)] for name in costs}
    rows = {
        name: {"ms_per_1000": statistics.median(costs[name]), "ratio": statistics.median(ratios[name])}
        for name in costs
    }
    print("| variant | CPU ms for 1,000 positives | times none |\n|---|---|---|")
    for name, row in rows.items():
        print(f"| {name} | {row['ms_per_1000']:.1f} | {row['ratio']:.2f} |")
    if not arguments.only:
        content = {"rows": rows, "repeats": arguments.repeats, "versions": versions(), "date": str(date.today())}
        RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
