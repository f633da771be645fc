"""What a learned proposal costs against the size of the catalogue: a whole step, and the parts of it that are its own.

    uv run benchmarks/learned_proposal.py [--repeats=5] [--sizes=10000,10000000]

One thread; a process for every catalogue, so that peak memory is honest. A step: a query for each of 6,400 rows, which
two layers of width 64 make of random vectors, 256 distinct columns of a learned proposal with corrected logQ, backward,
LazyAdam on the item table, whose moments are in memory as after a first epoch. A model's encoder would come on top, so
the ratio of whole models is closer to 1. A repeat is a refresh of the proposal and 64 steps; a step pays its share of
the refresh, one over the steps between two of them.
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

RESULT = Path(__file__).parent / "results" / "learned_proposal.json"
ROWS, SIZE, POOL, WARM_UP, STEPS = 6400, 64, 256, 8, 64


def measure(n_items: int, repeats: int) -> dict[str, Any]:
    """CPU seconds of a step and of its parts, one figure per repeat; called in a fresh process."""
    import torch

    from recbole_logq.experiment.machine_facts import versions
    from recbole_logq.losses import get_loss, mean_over_rows
    from recbole_logq.probability import TargetCounts
    from recbole_logq.samplers import get_sampler
    from recbole_logq.training.lazy_adam import LazyAdam
    from recbole_logq.training.memory import peak_memory_mb

    torch.set_num_threads(1)
    torch.manual_seed(0)
    table = torch.nn.Embedding(n_items + 1, SIZE, padding_idx=0, sparse=True)
    table.weight.detach().mul_(0.1)
    tower = torch.nn.Sequential(torch.nn.Linear(SIZE, 256), torch.nn.GELU(), torch.nn.Linear(256, SIZE))
    popularity = 1.0 / torch.arange(1, n_items + 1, dtype=torch.float64)
    law = popularity.cumsum(0)
    counts = torch.cat([torch.zeros(1, dtype=torch.int64), (popularity * 1e9).long().clamp_min(1)])
    sampler = get_sampler("systematic")(TargetCounts(counts), count=POOL, seed=0, proposal="learned")
    loss, optimizer = get_loss("corrected_logq"), LazyAdam([*table.parameters(), *tower.parameters()])
    for group in optimizer.param_groups:
        group["fused"] = True
    own = 0.0

    def step() -> None:
        nonlocal own
        optimizer.zero_grad(set_to_none=True)
        drawn = torch.searchsorted(law, torch.rand(2, ROWS, dtype=torch.float64) * law[-1])
        inputs, targets = drawn.clamp_max(n_items - 1) + 1
        query = tower(table(inputs))
        start = process_time()
        pool = sampler.sample(targets)
        own += process_time() - start
        terms = pool.terms(targets, hits=loss.hits)
        mean_over_rows(loss.from_vectors(query, table(targets), table(pool.ids), terms)).backward()
        optimizer.step()
        start = process_time()
        sampler.learn([pool])
        own += process_time() - start

    for _ in range(WARM_UP):
        step()
    # Adam's moments are there after a first epoch: memory that is written to for the first time costs far more.
    for moments in optimizer.state[table.weight].values():
        moments.mul_(1.0)
    seconds, parts = [], []
    for _ in range(repeats):
        start = process_time()
        sampler.settle()
        refresh = (process_time() - start) / sampler.refresh
        start, own = process_time(), 0.0
        for _ in range(STEPS):  # not more than there are until the next refresh
            step()
        seconds.append((process_time() - start) / STEPS + refresh)
        parts.append(own / STEPS + refresh)
    sampler_mb = sum(buffer.numel() * buffer.element_size() for buffer in sampler.buffers()) / 2**20
    return {
        "items": n_items,
        "refresh": sampler.refresh,
        "seconds": seconds,
        "own_seconds": parts,
        "sampler_mb": sampler_mb,
        "table_with_optimizer_mb": 3 * table.weight.numel() * 4 / 2**20,
        "peak_memory_mb": peak_memory_mb(),
        "versions": versions(),
    }


def main() -> None:
    """Measure every size in turn, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", default="10000,10000000")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(int(arguments.one), arguments.repeats)))
        return
    rows = []
    for size in arguments.sizes.split(","):
        words = [sys.executable, __file__, f"--repeats={arguments.repeats}", "--one", size]
        process = subprocess.run(words, capture_output=True, text=True, check=True)
        rows.append(json.loads(process.stdout.splitlines()[-1]))
        print(f"{int(size):,}: {statistics.median(rows[-1]['seconds']):.4f} s", flush=True)
    content = {"date": date.today().isoformat(), "repeats": arguments.repeats, "rows": rows}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurement as a table; ratios to the smallest catalogue."""
    if not RESULT.is_file():
        return "Not measured yet."
    rows = json.loads(RESULT.read_text(encoding="utf-8"))["rows"]
    base = statistics.median(rows[0]["seconds"])
    head = ["items", "CPU ms a step (lowest - highest)", "ratio", "of it pool and learning", "its memory", "peak"]
    cells = []
    for row in rows:
        low, middle, high = (1000 * f(row["seconds"]) for f in (min, statistics.median, max))
        whole = row["sampler_mb"] + row["table_with_optimizer_mb"]
        cells.append(
            [
                f"{row['items']:,}",
                f"{middle:.0f} ({low:.0f} - {high:.0f})",
                f"{middle / 1000 / base:.2f}",
                f"{1000 * statistics.median(row['own_seconds']):.1f} ms",
                f"{row['sampler_mb']:.0f} of {whole:.0f} MB",
                f"{row['peak_memory_mb'] / 1000:.1f} GB",
            ]
        )
    return markdown_table(head, cells)


if __name__ == "__main__":
    main()
