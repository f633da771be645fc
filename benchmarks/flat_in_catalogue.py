"""Step time and memory against the size of the catalogue: sparse gradients with LazyAdam, and dense Adam.

    uv run benchmarks/flat_in_catalogue.py [--repeats=7] [--sizes=10000,100000,1000000,10000000]

One thread; every (catalogue, optimizer) pair in a process of its own, so that peak memory is honest. A step: the
SASRec encoder at the defaults (hidden 64, two layers, two heads, feed-forward 256, length 50) on 128 windows of random
items drawn by Zipf's law, which are 6,400 positions, 256 shared in-batch negatives with corrected logQ, backward,
optimizer. Dense Adam stops at a million items, where its three tables take what ten million take without it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "flat_in_catalogue.json"
WINDOWS, LENGTH, SIZE, POOL = 128, 50, 64, 256
STEPS = 5
LARGEST_DENSE = 1_000_000


def measure(n_items: int, sparse: bool, repeats: int) -> dict[str, Any]:
    """CPU seconds of a step, one figure per repeat, and peak memory; called in a fresh process."""
    import torch

    from recbole_logq.losses import get_loss, mean_over_rows
    from recbole_logq.modules.packing import Packing
    from recbole_logq.modules.transformer import SequenceEncoder
    from recbole_logq.probability import TargetCounts
    from recbole_logq.samplers import get_sampler, valid_columns
    from recbole_logq.training.lazy_adam import LazyAdam
    from recbole_logq.training.memory import peak_memory_mb

    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = torch.nn.Embedding(n_items + 1, SIZE, padding_idx=0, sparse=sparse)
    shape = {"n_layers": 2, "n_heads": 2, "inner_size": 256, "dropout": 0.2, "norm": "pre", "initializer_range": 0.02}
    encoder = SequenceEncoder(size=SIZE, max_length=LENGTH, **shape)
    popularity = 1.0 / torch.arange(1, n_items + 1, dtype=torch.float64)
    law = popularity.cumsum(0)
    counts = torch.cat([torch.zeros(1, dtype=torch.int64), (popularity * 1e9).long().clamp_min(1)])
    sampler = get_sampler("in_batch")(TargetCounts(counts), count=POOL, seed=0)
    loss = get_loss("corrected_logq")
    parameters = [*table.parameters(), *encoder.parameters()]
    optimizer = LazyAdam(parameters) if sparse else torch.optim.Adam(parameters, fused=True)
    for group in optimizer.param_groups:
        group["fused"] = True
    packing = Packing(torch.full((WINDOWS,), LENGTH))

    def step() -> None:
        optimizer.zero_grad(set_to_none=True)
        drawn = torch.searchsorted(law, torch.rand(2, WINDOWS * LENGTH, dtype=torch.float64) * law[-1])
        inputs, targets = drawn.clamp_max(n_items - 1) + 1
        query = encoder(table(inputs), packing)
        pool = sampler.sample(targets)
        valid = valid_columns(pool, targets, loss.hits)
        values = loss.from_vectors(query, table(targets), table(pool.ids), valid=valid, **pool.terms(targets))
        mean_over_rows(values).backward()
        optimizer.step()

    for _ in range(STEPS):
        step()
    seconds = []
    for _ in range(repeats):
        start = process_time()
        for _ in range(STEPS):
            step()
        seconds.append((process_time() - start) / STEPS)
    return {"items": n_items, "sparse": sparse, "seconds": seconds, "peak_memory_mb": peak_memory_mb()}


def main() -> None:
    """Measure every pair in turn, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--sizes", default="10000,100000,1000000,10000000")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        size, kind = arguments.one
        print(json.dumps(measure(int(size), kind == "sparse", arguments.repeats)))
        return
    sizes = [int(size) for size in arguments.sizes.split(",")]
    rows = []
    for kind in ("sparse", "dense"):
        for size in sizes:
            if kind == "dense" and size > LARGEST_DENSE:
                continue
            words = [sys.executable, __file__, f"--repeats={arguments.repeats}", "--one", str(size), kind]
            process = subprocess.run(words, capture_output=True, text=True, check=True)
            rows.append(json.loads(process.stdout.splitlines()[-1]))
            print(f"{size:,} {kind}: {statistics.median(rows[-1]['seconds']):.3f} s", flush=True)
    content = {"date": date.today().isoformat(), "repeats": arguments.repeats, "rows": rows}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurement, ratios to the smallest catalogue with sparse gradients."""
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["rows"]
    base = min(statistics.median(row["seconds"]) for row in rows[:1])
    head = ["items", "gradients", "CPU s a step, median (lowest - highest)", "x 10,000 items, sparse", "peak memory"]
    lines = []
    for row in rows:
        median = statistics.median(row["seconds"])
        span = f"{median:.3f} ({min(row['seconds']):.3f} - {max(row['seconds']):.3f})"
        kind = "sparse, LazyAdam" if row["sparse"] else "dense, Adam"
        memory = f"{row['peak_memory_mb'] / 1000:.1f} GB"
        lines.append([f"{row['items']:,}", kind, span, f"{median / base:.2f}", memory])
    return markdown_table(head, lines)


if __name__ == "__main__":
    main()
