"""What it costs to score a user's own items exactly: a step with `negatives.own` over the step without it.

    uv run benchmarks/own_stratum.py [--repeats=9]

ml-1m, one thread, one run. SASRec at the defaults (width 64, two blocks, two heads) with 256 mixed negatives and
corrected logQ, 128 windows of 50 or of 200 positions a batch; a step is everything between two batches: loader,
forward, backward, Adam. The variants take turns on the same batches, and every repeat gives one ratio: so a busy
neighbour slows all alike. Two-tower at its defaults, 2,048 interactions, is beside it, and with a tower of histories.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
from recbole.utils import init_seed

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "own_stratum.json"
STEPS = 6
CASES: dict[str, tuple[str, dict[str, Any], tuple[str, ...]]] = {
    "SASRec, windows of 50": ("SASRecMNSCorrectedLogQ", {"MAX_ITEM_LIST_LENGTH": 50}, ("window", "history")),
    "SASRec, windows of 200": ("SASRecMNSCorrectedLogQ", {"MAX_ITEM_LIST_LENGTH": 200}, ("window", "history")),
    "TwoTower": ("TwoTowerMNSCorrectedLogQ", {}, ("window", "history")),
    "TwoTower, histories of 20": (
        "TwoTowerMNSCorrectedLogQ",
        {
            "user_tower": "history",
            "max_history": 20,
            "history_pooling": "attention",
            "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        },
        ("window", "history"),
    ),
}


class Variant:
    """A model with one setting of own items, ready to take steps."""

    def __init__(self, name: str, settings: dict[str, Any], own: str) -> None:
        init_seed(2024, True)
        negatives = {"source": "mixed", "count": 256, "uniform_share": 0.5, "own": own}
        self.config = Config(name, "ml-1m", None, {**settings, "negatives": negatives, "use_gpu": False})
        dataset = create_dataset(self.config)
        parts = split_dataset(self.config, dataset)
        self.loader = create_loaders(self.config, dataset, parts)[0]
        self.network = self.config.model_class(self.config, parts[0])
        self.optimizer = torch.optim.Adam(self.network.parameters(), fused=True)
        self.batches = endless(self.loader)

    def steps(self) -> float:
        """CPU seconds of some steps."""
        return seconds_of_steps(self.network, self.optimizer, self.batches, STEPS)


def endless(loader: Any) -> Iterator[Any]:
    """Batches, epoch after epoch."""
    while True:
        yield from loader


def seconds_of_steps(
    network: Any,
    optimizer: torch.optim.Optimizer,
    batches: Iterator[Any],
    number: int,
    clock: Callable[[], float] = process_time,
) -> float:
    """Seconds of that many steps by a clock, the process's own by default, loading of batches included."""
    start = clock()
    for _ in range(number):
        optimizer.zero_grad(set_to_none=True)
        network.calculate_loss(next(batches)).backward()
        optimizer.step()
        network.after_step()
    return clock() - start


def measure(case: str, repeats: int) -> dict[str, Any]:
    """Ratios of one case, as medians with the lowest and the highest."""
    name, settings, owns = CASES[case]
    variants = {own: Variant(name, settings, own) for own in ("none", *owns)}
    for variant in variants.values():
        variant.steps()
    seconds = {own: [] for own in variants}  # type: dict[str, list[float]]
    for _ in range(repeats):
        for own, variant in variants.items():
            seconds[own].append(variant.steps() / STEPS)
    ratios = {own: [a / b for a, b in zip(seconds[own], seconds["none"], strict=True)] for own in owns}
    return {
        "case": case,
        "ms_without": 1000 * statistics.median(seconds["none"]),
        "ratio": {own: statistics.median(values) for own, values in ratios.items()},
        "range": {own: [min(values), max(values)] for own, values in ratios.items()},
    }


def table() -> str:
    """The stored measurement: what a step with own items takes, relative to one without, lowest to highest."""
    if not RESULT.is_file():
        return "Not measured yet."
    lines = []
    for row in json.loads(RESULT.read_text(encoding="utf-8"))["rows"]:
        ratios = [f"{row['ratio'][own]:.2f} ({low:.2f} - {high:.2f})" for own, (low, high) in row["range"].items()]
        lines.append([row["case"], f"{row['ms_without']:.0f}", *ratios])
    return markdown_table(["model on ml-1m", "CPU ms a step without", "own: window", "own: history"], lines)


def main() -> None:
    """Measure, print and store."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    repeats = parser.parse_args().repeats
    torch.set_num_threads(1)
    rows = []
    for case in CASES:
        rows.append(row := measure(case, repeats))
        ratios = ", ".join(f"own={own} {row['ratio'][own]:.2f} {row['range'][own]}" for own in row["ratio"])
        print(f"{case}: {row['ms_without']:.0f} ms without, {ratios}", flush=True)
    record = {"date": date.today().isoformat(), "versions": versions(), "repeats": repeats, "steps": STEPS}
    RESULT.write_text(json.dumps({**record, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
