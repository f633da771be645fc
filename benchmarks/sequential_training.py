"""Positives per CPU second in training: this package's SASRec recipes against RecBole's SASRec (CE), in one run.

    uv run benchmarks/sequential_training.py [--repeats=5]

One thread. Same width (64), blocks (2), heads (2), feed-forward (256), length (50) and dropout (0.2) for all; each with
its own batch: RecBole 2048 interactions, ours 128 windows of users. A step is everything between two batches: loader,
forward, backward, Adam. A positive is one (history, target) pair that is trained on; both train on the same pairs.
What the ratio is made of: RecBole runs the encoder over a whole history for one target, ours over a window for all its
targets at once; the own full softmax, printed beside it, shows how little of the rest is the sampled loss.
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
from recbole_logq.experiment.run import versions

RESULT = Path(__file__).parent / "results" / "sequential_training.json"
OURS: dict[str, Any] = {"embedding_size": 64, "n_layers": 2, "n_heads": 2, "inner_size": 256, "dropout": 0.2}
THEIRS: dict[str, Any] = {"hidden_size": 64, "n_layers": 2, "n_heads": 2, "inner_size": 256, "loss_type": "CE"} | {
    "hidden_dropout_prob": 0.2,
    "attn_dropout_prob": 0.2,
    "train_neg_sample_args": None,
    "train_batch_size": 2048,
}
# Steps of one repeat: RecBole's take seconds each.
CANDIDATES = {
    "RecBole SASRec, CE": ("SASRec", THEIRS, 1),
    "SASRecCorrectedLogQ": ("SASRecCorrectedLogQ", OURS, 15),
    "SASRecLogQ": ("SASRecLogQ", OURS, 15),
    "SASRecInBatch": ("SASRecInBatch", OURS, 15),
    "SASRecUniform": ("SASRecUniform", OURS, 15),
    "SASRecFullSoftmax": ("SASRecFullSoftmax", OURS, 5),
}


def endless(loader: Any) -> Iterator[Any]:
    """Batches, epoch after epoch."""
    while True:
        yield from loader


class Candidate:
    """A model ready to take steps."""

    def __init__(self, dataset: str, model: str, settings: dict[str, Any], steps: int) -> None:
        config = Config(model, dataset, None, {**settings, "MAX_ITEM_LIST_LENGTH": 50, "show_progress": False})
        init_seed(config["seed"], True)
        data = create_dataset(config)
        parts = split_dataset(config, data)
        self.target = parts[0].iid_field
        self.batches = endless(create_loaders(config, data, parts)[0])
        self.model = config.model_class(config, parts[0]).train()
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3)
        self.steps = steps

    def measure(self) -> float:
        """Positives per CPU second over one repeat."""
        positives, start = 0, process_time()
        for _ in range(self.steps):
            batch = next(self.batches)
            self.optimizer.zero_grad(set_to_none=True)
            self.model.calculate_loss(batch).backward()
            self.optimizer.step()
            positives += int((batch[self.target] > 0).sum())
        return positives / (process_time() - start)


def main() -> None:
    """Measure in turn, so that a drift of the machine touches all alike; print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    candidates = {name: Candidate("ml-1m", *spec) for name, spec in CANDIDATES.items()}
    rates: dict[str, list[float]] = {name: [] for name in candidates}
    for candidate in candidates.values():
        candidate.measure()  # warm-up
    for _ in range(arguments.repeats):
        for name, candidate in candidates.items():
            rates[name].append(candidate.measure())
    base = statistics.median(rates["RecBole SASRec, CE"])
    rows = [
        {
            "who": name,
            "positives_per_cpu_second": round(statistics.median(values)),
            "lowest": round(min(values)),
            "highest": round(max(values)),
            "ratio_to_recbole": round(statistics.median(values) / base, 1),
        }
        for name, values in rates.items()
    ]
    content = {"date": date.today().isoformat(), "repeats": arguments.repeats, "versions": versions(), "rows": rows}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurement."""
    lines = ["| who | positives / CPU s, median | lowest - highest | x RecBole |", "|---|---|---|---|"]
    for row in json.loads(RESULT.read_text(encoding="utf-8"))["rows"]:
        span = f"{row['lowest']:,} - {row['highest']:,}"
        lines.append(f"| {row['who']} | {row['positives_per_cpu_second']:,} | {span} | {row['ratio_to_recbole']} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
