"""Search among a million items: what an index costs, what it finds, and the best hundred for a million users.

    uv run benchmarks/retrieval_scale.py                            # everything that is missing, then the table
    uv run benchmarks/retrieval_scale.py --items=20000 --users=20000 --results=FOLDER    # a trial at a small size
    uv run benchmarks/retrieval_scale.py --table                    # only the table of what is stored

Made-up vectors of 64 dimensions: points of 16 hidden ones, in 1,000 clusters whose sizes fall as 1 / rank; a cluster is
spread over 4 to 16 of the hidden dimensions. Users are drawn from the same clusters. Items come in two forms: of one
length, as cosine similarity has them, and of lengths that vary by a log-normal factor, where the nearest item is not
the one with the largest inner product.

Every part runs in a process of its own, whose peak memory is then its own, and ends in one JSON file: a run that was
stopped goes on with the part it was in. Building uses all threads, and its CPU seconds are of all of them. Searches
run in one thread, on 2,000 queries in blocks, the best of three passes; recall@100 is the share of the exact best
hundred that is found. The part "users" takes the fastest setting of hnsw with a recall of 0.95 or more (where there is
none, the last one) on items of one length, and writes the ids of the best hundred of every user into a file, batch by
batch.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Callable
from datetime import date, datetime
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import numpy as np
import torch

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table
from recbole_logq.serving.exact_index import ExactIndex
from recbole_logq.serving.faiss_index import FaissIndex
from recbole_logq.serving.index import APPROXIMATE, set_threads
from recbole_logq.serving.index_quality import recall, timed
from recbole_logq.training.memory import peak_memory_mb

RESULTS = Path(__file__).parent / "results" / "retrieval_scale"
SIZE, HIDDEN, CLUSTERS, SPREAD = 64, 16, 1000, 0.5
LENGTHS = {"one": "one length", "varying": "varying lengths"}
QUERIES, K, PASSES, BATCH, CHUNK = 2000, 100, 3, 4096, 100_000
RECALL, SPEED = 0.95, 2000
SETTINGS: dict[str, list[dict[str, int]]] = {
    "hnsw": [{"ef_search": ef} for ef in (100, 128, 192, 256, 512, 1024)],
    "ivfpq": [{"probes": probes, "refine": refine} for refine in (2, 4) for probes in (32, 64, 128, 256)],
}


class World:
    """Clusters that items and users are drawn from."""

    def __init__(self) -> None:
        generator = np.random.default_rng(0)
        self.map = (generator.standard_normal((HIDDEN, SIZE)) / np.sqrt(SIZE)).astype(np.float32)
        self.centre = generator.standard_normal((CLUSTERS, HIDDEN)).astype(np.float32)
        order = generator.random((CLUSTERS, HIDDEN)).argsort(1)
        self.spread = SPREAD * (order < generator.integers(4, HIDDEN + 1, (CLUSTERS, 1))).astype(np.float32)
        weight = 1 / np.arange(1.0, CLUSTERS + 1)
        self.share = weight / weight.sum()

    def draw(self, n: int, seed: int) -> np.ndarray:
        """float32 ``[n, 64]``."""
        generator = np.random.default_rng(seed)
        cluster = generator.choice(CLUSTERS, n, p=self.share)
        noise = generator.standard_normal((n, HIDDEN), dtype=np.float32)
        return (self.centre[cluster] + self.spread[cluster] * noise) @ self.map

    def items(self, n: int, seed: int, lengths: str) -> np.ndarray:
        """The same with lengths of :data:`LENGTHS`."""
        vectors = self.draw(n, seed)
        if lengths == "one":
            return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
        return vectors * np.exp(0.2 * np.random.default_rng(seed + 1000).standard_normal((n, 1), dtype=np.float32))


class Parts:
    """The parts of the measurement, in order; each gives what is stored.

    Args:
        scratch: Where vectors and indices lie.
        results: Where the parts' files lie.
        n_items: Of the catalogue.
        n_users: Of the last part.
        lengths: Of the items.
    """

    def __init__(self, scratch: Path, results: Path, n_items: int, n_users: int, lengths: str) -> None:
        self.scratch, self.results, self.n_items, self.n_users = scratch, results, n_items, n_users
        self.lengths = lengths

    def exact(self) -> dict[str, Any]:
        """Draw items and queries; search exactly."""
        world = World()
        items = np.zeros((1 + self.n_items, SIZE), dtype=np.float32)  # row 0 is padding
        for seed, first in enumerate(range(1, len(items), CHUNK), start=1):
            rows = items[first : first + CHUNK]
            rows[:] = world.items(len(rows), seed, self.lengths)
        np.save(self.scratch / "items.npy", items)
        query = torch.from_numpy(world.draw(QUERIES, 10_000))
        before = peak_memory_mb()
        best, speed = timed(ExactIndex(torch.from_numpy(items)), query, K)
        np.save(self.scratch / "best.npy", best.numpy())
        np.save(self.scratch / "query.npy", query.numpy())
        return {"queries_per_second": round(speed, 1), "vector_mb": round(items.nbytes / 1e6)} | _memory(before)

    def hnsw_build(self) -> dict[str, Any]:
        """Build the graph."""
        return self._build("hnsw")

    def hnsw_search(self) -> dict[str, Any]:
        """Search it with several settings."""
        return self._search("hnsw")

    def ivfpq_build(self) -> dict[str, Any]:
        """Learn cells and code words, and fill the cells."""
        return self._build("ivfpq")

    def ivfpq_search(self) -> dict[str, Any]:
        """Search them with several settings."""
        return self._search("ivfpq")

    def users(self) -> dict[str, Any]:
        """The best hundred of every user, batch by batch into a file."""
        curve = _read(self.results / f"{self.lengths}-hnsw_search.json")["curve"]
        enough = [row for row in curve if row["recall"] >= RECALL]
        row = max(enough, key=lambda row: row["queries_per_second"]) if enough else curve[-1]
        index, world, file = self._open("hnsw", row["options"]), World(), self.scratch / "top.int32"
        before, start, wall = peak_memory_mb(), process_time(), perf_counter()
        with set_threads(1), file.open("wb") as out:
            for seed, first in enumerate(range(0, self.n_users, BATCH), start=20_000):
                query = torch.from_numpy(world.draw(min(BATCH, self.n_users - first), seed))
                index.search(query, K).items.to(torch.int32).numpy().tofile(out)
                if seed % 20 == 0:
                    _say(f"  {first + len(query):,} of {self.n_users:,} users, {peak_memory_mb():,.0f} MB")
        seconds, wall = process_time() - start, perf_counter() - wall
        file_size = file.stat().st_size
        file.unlink()
        return {
            "users": self.n_users,
            "options": row["options"],
            "recall": row["recall"],
            "batch": BATCH,
            "cpu_seconds": round(seconds, 1),
            "wall_seconds": round(wall, 1),
            "written_mb": round(file_size / 1e6),
        } | _memory(before)

    def _items(self) -> torch.Tensor:
        return torch.from_numpy(np.load(self.scratch / "items.npy"))

    def _open(self, name: str, options: dict[str, int]) -> FaissIndex:
        return APPROXIMATE[name].load(self._items(), self.scratch / f"{name}.safetensors", **options)

    def _build(self, name: str) -> dict[str, Any]:
        items = self._items()
        before, start, wall = peak_memory_mb(), process_time(), perf_counter()
        index = APPROXIMATE[name].build(items)
        seconds, wall = process_time() - start, perf_counter() - wall
        file = self.scratch / f"{name}.safetensors"
        index.save(file)
        return {
            "options": index.build_options,
            "cpu_seconds": round(seconds, 1),
            "wall_seconds": round(wall, 1),
            "index_mb": round(file.stat().st_size / 1e6),
        } | _memory(before)

    def _search(self, name: str) -> dict[str, Any]:
        query, best = (torch.from_numpy(np.load(self.scratch / f"{stem}.npy")) for stem in ("query", "best"))
        index, curve = self._open(name, {}), []
        before = peak_memory_mb()
        for options in SETTINGS[name]:
            index.options |= options
            index.prepare()
            results, speed = timed(index, query, K, PASSES)
            curve.append({"options": options, "recall": round(recall(results, best), 4)})
            curve[-1]["queries_per_second"] = round(speed)
            _say(f"  {curve[-1]}")
        return {"curve": curve} | _memory(before)


NAMES = ("exact", "hnsw_build", "hnsw_search", "ivfpq_build", "ivfpq_search", "users")
PARTS: dict[str, Callable[[Parts], dict[str, Any]]] = {name: getattr(Parts, name) for name in NAMES}
RUNS = [(lengths, name) for lengths in LENGTHS for name in NAMES if name != "users" or lengths == "one"]


def _memory(before: float) -> dict[str, Any]:
    return {"peak_mb_before": round(before), "peak_mb": round(peak_memory_mb())}


def _read(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8"))


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main() -> None:
    """Run what is missing, part by part."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--users", type=int, default=1_000_000)
    parser.add_argument("--results", type=Path, default=RESULTS)
    parser.add_argument("--scratch", type=Path, default=Path("saved") / "retrieval_scale")
    parser.add_argument("--table", action="store_true", help="run nothing")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--lengths", choices=LENGTHS, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.part:
        scratch = arguments.scratch / f"{arguments.items}-{arguments.lengths}"
        scratch.mkdir(parents=True, exist_ok=True)
        parts = Parts(scratch, arguments.results, arguments.items, arguments.users, arguments.lengths)
        record = {"items": arguments.items, "date": date.today().isoformat(), "versions": versions()}
        print(json.dumps(record | {"threads": torch.get_num_threads()} | PARTS[arguments.part](parts)))
        return
    arguments.results.mkdir(parents=True, exist_ok=True)
    for lengths, name in [] if arguments.table else RUNS:
        file = arguments.results / f"{lengths}-{name}.json"
        if file.is_file() and _read(file)["items"] == arguments.items:
            continue
        _say(f"{datetime.now():%H:%M:%S} items of {LENGTHS[lengths]}, {name}: {PARTS[name].__doc__}")
        options = [f"--{key}={getattr(arguments, key)}" for key in ("items", "users", "results", "scratch")]
        command = [sys.executable, __file__, f"--part={name}", f"--lengths={lengths}", *options]
        process = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True)
        file.write_text(json.dumps(json.loads(process.stdout), indent=1) + "\n", encoding="utf-8")
    print(table(arguments.results))


def table(folder: Path = RESULTS) -> str:
    """The stored parts: building, the curve, all users."""
    files = {run: folder / f"{run[0]}-{run[1]}.json" for run in RUNS}
    parts = {run: _read(file) for run, file in files.items() if file.is_file()}
    if not parts:
        return "Not measured yet."
    sizes = ", ".join(dict.fromkeys(f"{part['items']:,}" for part in parts.values()))
    heads = ["index", "items", "built in CPU s", "wall s, threads", "index, MB", "peak memory of building, MB"]
    built = []
    for (lengths, name), part in parts.items():
        if name.endswith("_build"):
            wall = f"{part['wall_seconds']:,} with {part['threads']}"
            cells = [name.removesuffix("_build"), LENGTHS[lengths], f"{part['cpu_seconds']:,}", wall]
            built.append([*cells, f"{part['index_mb']:,}", f"{part['peak_mb']:,}"])
    searches = []
    for (lengths, name), part in parts.items():
        if name == "exact":
            searches.append(["exact", LENGTHS[lengths], "1", f"{part['queries_per_second']:,}"])
        for row in part.get("curve", []):
            options = f"{name.removesuffix('_search')}, {_options_text(row['options'])}"
            good = " (both aims)" if row["recall"] >= RECALL and row["queries_per_second"] >= SPEED else ""
            speed = f"{row['queries_per_second']:,}{good}"
            searches.append([options, LENGTHS[lengths], f"{row['recall']:.4f}", speed])
    lines = [f"{sizes} items of {SIZE} dimensions.", "", markdown_table(heads, built), ""]
    lines.append(markdown_table(["search", "items", "recall@100", "queries / s, one thread"], searches))
    if users := parts.get(("one", "users")):
        lines += [
            "",
            f"The best {K} items of {users['users']:,} users (hnsw, {_options_text(users['options'])}, items of one "
            f"length) in batches of {users['batch']:,}: {users['cpu_seconds']:,} CPU seconds of one thread, "
            f"{users['written_mb']:,} MB of ids written, peak memory {users['peak_mb']:,} MB, of which "
            f"{users['peak_mb_before']:,} MB were there with vectors and index loaded.",
        ]
    return "\n".join(lines)


def _options_text(options: dict[str, int]) -> str:
    return ", ".join(f"{key} {value}" for key, value in options.items())


if __name__ == "__main__":
    main()
