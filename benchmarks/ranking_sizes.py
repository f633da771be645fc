"""Full ranking by number of items against ``(query @ items.T).topk(k)``, and what ranking drawn items costs.

    uv run benchmarks/ranking_sizes.py [--repeats=5] [--sizes=1000,3707,...]    # other sizes stay as they are stored

One thread, float32, random vectors of 64 dimensions. The plain way makes the whole matrix of scores at once, for 1,024
rows or as many as 256 MB hold (16 at least); ours gets the same rows in one call. What it makes once a catalogue is not
counted but told (``making``). In turn, medians; what takes milliseconds is repeated a hundred times. "Four times" is a
catalogue in which every vector stands four times, so that equal scores are everywhere and torch's own order of them is
what has to be found.

Drawn items: 40 histories with 101 items each, as ``eval_args.mode: uni100`` asks for them, encoded by SASRec's encoder
(two blocks of width 64, length 50): every row, as RecBole does it, against each history once.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
from torch import Tensor

from recbole_logq.evaluation.top_k import Catalogue
from recbole_logq.experiment.run import versions
from recbole_logq.markup import markdown_table
from recbole_logq.models.distinct_rows import distinct_rows
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.transformer import SequenceEncoder

RESULT = Path(__file__).parent / "results" / "ranking_sizes.json"
SIZE, KS = 64, (10, 500)
SIZES = (1_000, 3_707, 8_000, 15_000, 20_000, 100_000, 1_000_000)
ROWS, MOST, LEAST = 1024, 1 << 26, 16
USERS, DRAWN, LENGTH = 40, 101, 50
MOST_REPEATS, SECONDS = 101, 1.5
"""Of a way, as long as it takes no more than that."""


def problem(n_items: int, copies: int) -> tuple[Tensor, Tensor]:
    """Queries and items, the first of which is padding."""
    generator = torch.Generator().manual_seed(0)
    rows = max(min(ROWS, MOST // n_items), LEAST)
    originals = torch.randn(-(-n_items // copies), SIZE, generator=generator)
    query = torch.randn(rows, SIZE, generator=generator)
    return query, originals if copies == 1 else originals.repeat(copies, 1)[:n_items]


def plain(query: Tensor, items: Tensor, k: int) -> Tensor:
    """As everybody writes it."""
    scores = query @ items.T
    scores[:, 0] = -torch.inf
    return scores.topk(k, dim=1).values


def seconds_of(way: Callable[[], Any]) -> float:
    """CPU seconds of one call."""
    start = process_time()
    way()
    return process_time() - start


def in_turn(ways: dict[str, Callable[[], Any]], repeats: int) -> dict[str, list[float]]:
    """CPU seconds of both, one after the other."""
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(repeats):
        for name, way in sorted(ways.items(), reverse=number % 2 == 1):
            seconds[name].append(round(seconds_of(way), 6))
    return seconds


def measure(n_items: int, copies: int, repeats: int) -> list[dict[str, Any]]:
    """All k of one catalogue."""
    query, items = problem(n_items, copies)
    return [measure_k(query, items, k, copies, repeats) for k in KS]


def measure_k(query: Tensor, items: Tensor, k: int, copies: int, repeats: int) -> dict[str, Any]:
    """One k."""
    catalogue = Catalogue(items)
    ways = {"plain": lambda: plain(query, items, k), "ours": lambda: catalogue.top_k(query, k)}
    first = seconds_of(ways["ours"])
    torch.testing.assert_close(catalogue.top_k(query, k).scores, plain(query, items, k))
    seconds = in_turn(ways, max(repeats, min(MOST_REPEATS, int(SECONDS / seconds_of(ways["plain"])))))
    making = max(first - statistics.median(seconds["ours"]), 0.0)
    row = {"items": len(items), "copies": copies, "k": k, "rows": len(query), "making": round(making, 3), **seconds}
    row["load"] = round(os.getloadavg()[0], 1)
    print(" | ".join(_cells(row)), flush=True)
    return row


def measure_drawn(repeats: int) -> dict[str, list[float]]:
    """Encoding of a batch of ``uni100``."""
    torch.manual_seed(0)
    shape = {"size": SIZE, "n_layers": 2, "n_heads": 2, "inner_size": 256, "max_length": LENGTH}
    encoder = SequenceEncoder(**shape, dropout=0.0, norm="pre", initializer_range=0.02).eval()  # type: ignore[arg-type]
    table = torch.randn(3707, SIZE)
    history = torch.randint(1, 3707, (USERS, LENGTH)).repeat_interleave(DRAWN, 0)
    lengths = torch.full((len(history),), LENGTH)

    @torch.no_grad()
    def encoded(history: Tensor, lengths: Tensor) -> Tensor:
        packing = Packing(lengths, history.device)
        return encoder(table[packing.pack(history)], packing, None)[packing.last]

    def once() -> Tensor:
        chosen, place = distinct_rows([history, lengths])
        return encoded(history[chosen], lengths[chosen])[place]

    torch.testing.assert_close(once(), encoded(history, lengths), rtol=1e-4, atol=1e-4)
    return in_turn({"plain": lambda: encoded(history, lengths), "ours": once}, repeats)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--sizes", default=",".join(map(str, SIZES)), help="numbers of items; others stay as stored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    sizes = [int(size) for size in arguments.sizes.split(",")]
    stored = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"rows": []}
    rows = [row for row in stored["rows"] if row["items"] not in sizes]
    for n_items in sizes:
        for copies in (1, 4):
            rows += measure(n_items, copies, arguments.repeats)
    content = {"date": date.today().isoformat(), "repeats": arguments.repeats, "versions": versions()}
    drawn = stored.get("drawn") if arguments.sizes != ",".join(map(str, SIZES)) else None
    content |= {"rows": sorted(rows, key=lambda row: row["items"]), "drawn": drawn or measure_drawn(arguments.repeats)}
    RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def _ratio(row: dict[str, Any]) -> float:
    return statistics.median(row["plain"]) / statistics.median(row["ours"])


def _cells(row: dict[str, Any]) -> list[str]:
    plain, ours = (row["rows"] / statistics.median(row[way]) for way in ("plain", "ours"))
    vectors = "once" if row["copies"] == 1 else "four times"
    cells = [f"{row['items']:,}", vectors, f"{row['k']}", f"{plain:,.0f}", f"{ours:,.0f}", f"{_ratio(row):.2f}"]
    return [*cells, f"{row['making']:.2f}", f"{row['load']:.0f}" if "load" in row else "-"]


def table() -> str:
    """The stored measurement."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    heads = ["items", "each vector", "k", "plain, rows / CPU s", "ours, rows / CPU s", "ratio", "making, CPU s", "load"]
    drawn = stored["drawn"]
    encoded = (
        f"Ranking drawn items, {USERS} users with {DRAWN} rows each through SASRec: "
        f"{statistics.median(drawn['plain']):.2f} CPU seconds with every row encoded, "
        f"{statistics.median(drawn['ours']):.3f} with each of them once, {_ratio(drawn):.0f} times as fast."
    )
    return f"{markdown_table(heads, [_cells(row) for row in stored['rows']])}\n\n{encoded}"


if __name__ == "__main__":
    main()
