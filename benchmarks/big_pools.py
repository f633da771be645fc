"""In-batch pools that do not fit: memory with and without gradient_cache, and the gradient's difference.

    uv run benchmarks/big_pools.py

One thread, float32, a SASRec encoder at the defaults (hidden 64, two layers, length 50) on random sequences of 20,000
items; every position's target is in the pool (``negatives.count: ~``), corrected logQ. Each line is a process of its
own; memory is its peak less that of the same process before the step. "In one piece" also keeps the whole matrix of
scores, which is what a step did before this was built.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch

from recbole_logq.losses import get_loss, limits, mean_over_rows
from recbole_logq.markup import markdown_table
from recbole_logq.modules.gradient_cache import in_parts
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.transformer import SequenceEncoder
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import any_column, get_sampler, mask_function
from recbole_logq.training.memory import peak_memory_mb

RESULT = Path(__file__).parent / "results" / "big_pools.json"
ITEMS, SIZE, LENGTH, PART = 20_000, 64, 50, 64
CASES = [(256, False), (256, True), (1024, True)]


def step(windows: int, cached: bool, gradients: str = "") -> dict[str, Any]:
    """One forward and backward pass, in a fresh process."""
    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = torch.nn.Embedding(ITEMS + 1, SIZE, padding_idx=0)
    shape = {"n_layers": 2, "n_heads": 2, "inner_size": 256, "dropout": 0.0, "norm": "pre", "initializer_range": 0.02}
    encoder = SequenceEncoder(size=SIZE, max_length=LENGTH, **shape)
    inputs, targets = torch.randint(1, ITEMS + 1, (2, windows, LENGTH))
    targets = targets.flatten()
    counts = torch.ones(ITEMS + 1, dtype=torch.int64)
    counts[0] = 0
    sampler, loss = get_sampler("in_batch")(TargetCounts(counts), count=None, seed=0), get_loss("corrected_logq")

    def encode(part: torch.Tensor) -> torch.Tensor:
        packing = Packing(torch.full((len(part),), LENGTH))
        return encoder(table(packing.pack(part)), packing)

    before, start = peak_memory_mb(), process_time()
    if not cached:
        limits.WHOLE_MATRIX = 2**60
    query = in_parts(encode, [(part,) for part in inputs.split(PART)]) if cached else encode(inputs)
    pool = sampler.sample(targets)
    mask = mask_function(pool, targets, loss.hits)
    assert mask is not None
    valid = mask if cached else mask(0, len(targets))
    values = loss.from_vectors(query, table(targets), table(pool.ids), valid=valid, **pool.terms(targets))
    mean_over_rows(values, any_column(mask, len(targets))).backward()
    if gradients:
        torch.save([parameter.grad for parameter in (*table.parameters(), *encoder.parameters())], gradients)
    return {
        "windows": windows,
        "pool": len(targets),
        "cached": cached,
        "cpu_seconds": process_time() - start,
        "memory_mb": peak_memory_mb() - before,
    }


def main() -> None:
    """Measure every case and compare the gradients of the first two."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        windows, cached, gradients = arguments.one
        print(json.dumps(step(int(windows), cached == "True", gradients)))
        return
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number, (windows, cached) in enumerate(CASES):
            words = [sys.executable, __file__, "--one", str(windows), str(cached), f"{folder}/{number}"]
            process = subprocess.run(words, capture_output=True, text=True, check=True)
            rows.append(json.loads(process.stdout.splitlines()[-1]))
        first, second = (torch.load(f"{folder}/{number}", weights_only=True) for number in (0, 1))
    pairs = list(zip(first, second, strict=True))
    square = sum(float((whole - in_parts).double().square().sum()) for whole, in_parts in pairs)
    error = (square / sum(float(whole.double().square().sum()) for whole, _ in pairs)) ** 0.5
    content = {"date": date.today().isoformat(), "rows": rows, "gradient_difference": error}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurement."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    rows = []
    for row in stored["rows"]:
        way = f"gradient_cache: {PART}" if row["cached"] else "in one piece"
        memory = f"{row['memory_mb'] / 1000:.2f} GB"
        rows.append([f"{row['windows']:,}", f"{row['pool']:,}", way, memory, f"{row['cpu_seconds']:.1f}"])
    difference = stored["gradient_difference"]
    table = markdown_table(["windows", "rows = pool", "how", "memory of the step", "CPU s"], rows)
    return f"{table}\n\nGradient of the second line against the first: relative difference {difference:.0e}."


if __name__ == "__main__":
    main()
