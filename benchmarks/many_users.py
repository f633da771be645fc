"""Training without a table of users: 10 million users and a million items of made-up data, in a mapped file.

    uv run benchmarks/many_users.py [--users=10000000] [--items=1000000] [--steps=250]

One thread. The data is streamed into a cache (recbole_logq/data/batches/sequence_cache.py), then a process of its own
maps it and trains: user = mean of the last 20 items (HistoryTower), the same table for histories and targets, width 64,
cosine over 0.1, corrected logQ with 1024 negatives of a batch of 4096 users, sparse gradients and LazyAdam. A step is
everything between two batches. Memory is the largest resident size of that process, pages of the mapped file included.

Users have 8 to 12 items. A user belongs to one of the clusters that the catalogue is cut into and takes most items from
it; inside a cluster, and among clusters, popularity falls as 1 / rank (Zipf's law).
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np
import torch
from torch import nn

from recbole_logq.data.batches.sequence_batches import SequenceBatches
from recbole_logq.data.batches.sequence_cache import SequenceCache
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.losses import get_loss, mean_over_rows
from recbole_logq.markup import markdown_table
from recbole_logq.modules.scorer import Scorer
from recbole_logq.modules.towers import HistoryTower
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler, valid_columns
from recbole_logq.training.lazy_adam import LazyAdam
from recbole_logq.training.memory import peak_memory_mb

RESULT = Path(__file__).parent / "results" / "many_users.json"
WIDTH, BATCH, NEGATIVES, MAX_HISTORY, SEED = 64, 4096, 1024, 20, 1
SHORTEST, LONGEST = 8, 12
IN_CLUSTER = 0.8  # share of a user's items that come from the user's cluster
USERS_A_CHUNK = 200_000


def made_up(n_users: int, n_items: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Items and lengths of consecutive users, chunk after chunk."""
    generator = np.random.default_rng(SEED)
    n_clusters = max(math.isqrt(n_items), 2)
    for first in range(0, n_users, USERS_A_CHUNK):
        lengths = generator.integers(SHORTEST, LONGEST + 1, min(USERS_A_CHUNK, n_users - first))
        cluster = _ranks(generator, n_clusters, len(lengths)).repeat(lengths)
        elsewhere = generator.random(len(cluster)) >= IN_CLUSTER
        cluster[elsewhere] = _ranks(generator, n_clusters, int(elsewhere.sum()))
        # Cluster c has the items c, c + n_clusters, ... up to the catalogue's end, the popular ones first.
        rank = _ranks(generator, (n_items - 1 - cluster) // n_clusters + 1, len(cluster))
        yield cluster + rank * n_clusters + 1, lengths


def _ranks(generator: np.random.Generator, n: int | np.ndarray, count: int) -> np.ndarray:
    """``count`` numbers from 0 to ``n - 1``, number r with probability log(1 + 1 / (r + 1)) / log(n + 1)."""
    drawn = np.exp(generator.random(count) * np.log(np.add(n, 1))).astype(np.int64) - 1
    return np.minimum(drawn, np.subtract(n, 1))  # of rounding


def write(folder: Path, n_users: int, n_items: int) -> dict[str, Any]:
    """Make the cache."""
    start = process_time()
    cache = SequenceCache.write(folder, made_up(n_users, n_items))
    size = sum(file.stat().st_size for file in folder.iterdir())
    return {
        "users": cache.n_users,
        "interactions": len(cache.items),
        "cache_mb": round(size / 1e6, 1),
        "write_cpu_seconds": round(process_time() - start, 1),
        "write_peak_memory_mb": peak_memory_mb(),
        "fingerprint": cache.fingerprint,
    }


def train(folder: Path, steps: int) -> dict[str, Any]:
    """Open the cache, count, and train."""
    torch.manual_seed(SEED)
    start = process_time()
    cache = SequenceCache.open(folder, verify=True)
    batches = SequenceBatches(cache, users=BATCH, max_history=MAX_HISTORY, seed=SEED)
    counts = TargetCounts(batches.target_counts())
    prepared = process_time() - start
    users, scorer = HistoryTower(WIDTH), Scorer("cosine", 0.1)
    items = nn.Embedding(cache.n_items, WIDTH, padding_idx=0, sparse=True)
    nn.init.normal_(items.weight, std=WIDTH**-0.5)
    nn.init.zeros_(items.weight[0].detach())
    optimizer = LazyAdam([*users.parameters(), *items.parameters()], lr=0.01)
    loss, sampler = get_loss("corrected_logq"), get_sampler("in_batch")(counts, count=NEGATIVES, seed=SEED + 1)
    values: list[float] = []
    rows, start = 0, process_time()
    for history, target in _endless(batches, steps):
        pool = sampler.sample(target)
        valid = valid_columns(pool, target, loss.hits)
        losses = loss.from_vectors(
            scorer.query(users(history, items)),
            scorer.item(items(target)),
            scorer.item(items(pool.ids)),
            valid=valid,
            **pool.terms(target),
        )
        optimizer.zero_grad(set_to_none=True)
        mean = mean_over_rows(losses, valid.any(dim=1))
        mean.backward()
        optimizer.step()
        sampler.after_step()
        values.append(mean.item())
        rows += len(target)
    seconds = process_time() - start
    few = max(steps // 20, 1)
    return {
        "items": cache.n_items - 1,
        "open_and_count_cpu_seconds": round(prepared, 1),
        "steps": steps,
        "users_per_cpu_second": round(rows / seconds),
        "steps_per_cpu_second": round(steps / seconds, 2),
        "loss_of_the_first_steps": round(statistics.mean(values[:few]), 4),
        "loss_of_the_last_steps": round(statistics.mean(values[-few:]), 4),
        "peak_memory_mb": peak_memory_mb(),
    }


def _endless(batches: SequenceBatches, steps: int) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    while True:
        for batch in batches:
            if not steps:
                return
            steps -= 1
            yield batch


def main() -> None:
    """Write and train in processes of their own, so that each one's memory is its own; print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=10_000_000)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--steps", type=int, default=250)
    parser.add_argument("--folder", type=Path, default=Path("saved"), help="where the cache lies while this runs")
    parser.add_argument("--result", type=Path, default=RESULT)
    parser.add_argument("--stage", choices=["write", "train"], help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.stage:
        size = (arguments.users, arguments.items) if arguments.stage == "write" else (arguments.steps,)
        print(json.dumps(globals()[arguments.stage](arguments.folder, *size)))
        return
    arguments.folder.mkdir(parents=True, exist_ok=True)
    content: dict[str, Any] = {"date": date.today().isoformat(), "versions": versions()}
    with tempfile.TemporaryDirectory(prefix="many_users-", dir=arguments.folder) as scratch:
        for stage in ("write", "train"):
            options = [f"--{name}={getattr(arguments, name)}" for name in ("users", "items", "steps")]
            command = [sys.executable, __file__, f"--stage={stage}", f"--folder={Path(scratch) / 'cache'}", *options]
            content |= json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)
    arguments.result.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table(arguments.result))


def table(file: Path = RESULT) -> str:
    """The stored measurement."""
    if not file.is_file():
        return "Not measured yet."
    result = json.loads(file.read_text(encoding="utf-8"))
    rows = {
        "users, items, interactions": f"{result['users']:,}, {result['items']:,}, {result['interactions']:,}",
        "cache": f"{result['cache_mb']:,.0f} MB, written in {result['write_cpu_seconds']} CPU s and "
        f"{result['write_peak_memory_mb'] / 1000:.1f} GB of memory",
        "opened, checked and counted in": f"{result['open_and_count_cpu_seconds']} CPU s",
        "users / CPU s": f"{result['users_per_cpu_second']:,} ({result['steps_per_cpu_second']} steps)",
        f"loss, first and last of {result['steps']} steps": f"{result['loss_of_the_first_steps']:.3f}, "
        f"{result['loss_of_the_last_steps']:.3f}",
        "peak memory of training": f"{result['peak_memory_mb'] / 1000:.2f} GB",
    }
    return markdown_table(["what", "measured"], rows.items())


if __name__ == "__main__":
    main()
