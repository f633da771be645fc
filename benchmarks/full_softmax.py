"""The full softmax, forward and backward: ours against torch's cross entropy on the score matrix.

    uv run benchmarks/full_softmax.py [--repeats=7]

One thread, float32, 6,400 rows of 64 dimensions (128 windows of 50). Speed at 3,706 items (ml-1m) and 20,000: rows per
CPU second, medians, each pair of measurements in turn in one process. Memory at 100,000 items: peak resident size of a
process of its own, less the same process's before the loss. Gradients against the plain ones in float64 and float32.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor

from recbole_logq.losses import get_loss
from recbole_logq.markup import markdown_table
from recbole_logq.training.memory import peak_memory_mb

RESULT = Path(__file__).parent / "results" / "full_softmax.json"
ROWS, SIZE = 6400, 64
SPEED, MEMORY = (3706, 20_000), 100_000


def problem(items: int, dtype: torch.dtype = torch.float32) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, item vectors and targets, with scores of a model in training."""
    generator = torch.Generator().manual_seed(0)
    query = torch.randn(ROWS, SIZE, generator=generator, dtype=dtype).mul_(0.5).requires_grad_()
    vectors = torch.randn(items, SIZE, generator=generator, dtype=dtype).mul_(0.5).requires_grad_()
    return query, vectors, torch.randint(items, (ROWS,), generator=generator)


def plain(query: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
    """The loss as everybody writes it."""
    return torch.nn.functional.cross_entropy(query @ vectors.T, targets)


def ours(query: Tensor, vectors: Tensor, targets: Tensor) -> Tensor:
    """The loss as training calls it."""
    return get_loss("full_softmax").from_vectors(query, vectors[targets], vectors).mean()


WAYS: dict[str, Callable[[Tensor, Tensor, Tensor], Tensor]] = {"plain": plain, "ours": ours}


def step(way: str, data: tuple[Tensor, Tensor, Tensor]) -> float:
    """CPU seconds of forward and backward."""
    data[0].grad = data[1].grad = None
    start = process_time()
    WAYS[way](*data).backward()
    return process_time() - start


def speed(items: int, repeats: int) -> dict[str, list[float]]:
    """Rows per CPU second of both."""
    data = problem(items)
    rates_of: dict[str, list[float]] = {way: [] for way in WAYS}
    for repeat in range(repeats + 1):
        for way, rates in rates_of.items():
            seconds = step(way, data)
            if repeat:
                rates.append(ROWS / seconds)
    return rates_of


def errors(dtype: torch.dtype) -> float:
    """Largest relative difference (L2) of a gradient from the plain one."""
    gradients = []
    for way in (plain, ours):
        data = problem(SPEED[0], dtype)
        way(*data).backward()
        gradients.append([tensor.grad for tensor in data[:2]])
    return max(float((first - second).norm() / first.norm()) for first, second in zip(*gradients, strict=True))


def memory(way: str) -> float:
    """MB on top of what the vectors and their gradients take; in a fresh process."""
    data = problem(MEMORY)
    for tensor in data[:2]:
        tensor.grad = torch.zeros_like(tensor)
    before = peak_memory_mb()
    WAYS[way](*data).backward()
    return peak_memory_mb() - before


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--memory", choices=WAYS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.memory:
        print(memory(arguments.memory))
        return
    peaks: dict[str, float] = {}
    for way in WAYS:
        words = [sys.executable, __file__, "--memory", way]
        peaks[way] = float(subprocess.run(words, capture_output=True, text=True, check=True).stdout)
    content: dict[str, Any] = {
        "date": date.today().isoformat(),
        "repeats": arguments.repeats,
        "speed": {str(items): speed(items, arguments.repeats) for items in SPEED},
        "memory_mb": peaks,
        "error": {"float64": errors(torch.float64), "float32": errors(torch.float32)},
    }
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurement."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = []
    for items, rates in stored["speed"].items():
        first, second = (statistics.median(rates[way]) for way in WAYS)
        label = f"rows / CPU s at {int(items):,} items"
        rows.append([label, f"{first:,.0f}", f"{second:,.0f}", f"{second / first:.2f}"])
    first, second = (stored["memory_mb"][way] / 1000 for way in WAYS)
    memory = f"memory at {MEMORY:,} items, GB on top of vectors and gradients"
    rows.append([memory, f"{first:.2f}", f"{second:.2f}", ""])
    error = ", ".join(f"{kind} {stored['error'][kind]:.0e}" for kind in ("float64", "float32"))
    rows.append(["gradient, relative difference", "-", error, ""])
    return markdown_table(["what", "plain", "ours", "ratio"], rows)


if __name__ == "__main__":
    main()
