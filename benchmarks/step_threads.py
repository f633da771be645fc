"""From which size of a step a second thread pays, for two towers of plain tables: milliseconds of a step on the CPU.

    OMP_WAIT_POLICY=PASSIVE uv run benchmarks/step_threads.py [--repeats=5] [--data_path=datasets]    # ml-1m; a minute
    uv run benchmarks/step_threads.py --table                                  # only what is stored

TwoTowerCorrectedLogQ, in-batch negatives, fused Adam; loader, forward, backward and step, with one thread and with two
in turn, without the rule of ``recbole_logq/training/threads.py`` whose limit this is. Wall time, medians. Waiting
threads sleep, as in every command; where they spin, two are faster for each of the sizes while no other program runs.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import statistics
from datetime import date
from pathlib import Path
from time import perf_counter

import torch
from own_stratum import endless, seconds_of_steps

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "step_threads.json"
SIZES = ((2048, 256, 64), (2048, 256, 128), (2048, 512, 128), (2048, 1024, 128), (8192, 1024, 64), (8192, 2048, 128))
"""Rows, negatives and width."""
STEPS = 5


def measure(size: tuple[int, int, int], repeats: int, data_path: Path) -> dict[str, list[float]]:
    """Milliseconds of a step by number of threads."""
    rows, negatives, width = size
    settings = {"train_batch_size": rows, "negatives.count": negatives, "embedding_size": width, "use_gpu": False}
    config = Config("TwoTowerCorrectedLogQ", "ml-1m", None, {**settings, "data_path": str(data_path), "state": "ERROR"})
    dataset = create_dataset(config)
    parts = split_dataset(config, dataset)
    loader = create_loaders(config, dataset, parts)[0]
    model = config.model_class(config, parts[0]).train()
    optimizer = torch.optim.Adam(model.parameters(), fused=True)
    batches = endless(loader)

    def milliseconds(steps: int) -> float:
        return 1000 * seconds_of_steps(model, optimizer, batches, steps, perf_counter) / steps

    milliseconds(STEPS)  # a warm-up
    spent: dict[str, list[float]] = {"1": [], "2": []}
    for _ in range(repeats):
        for threads, times in spent.items():
            torch.set_num_threads(int(threads))
            milliseconds(1)
            times.append(round(milliseconds(STEPS), 2))
    return spent


def table() -> str:
    """The stored measurement."""
    if not RESULT.is_file():
        return "Not measured yet."
    lines = []
    for row in json.loads(RESULT.read_text(encoding="utf-8"))["rows"]:
        ms_1, ms_2 = (statistics.median(row["ms"][threads]) for threads in ("1", "2"))
        sizes = [f"{size:,}" for size in row["size"]]
        lines.append(
            [*sizes, f"2^{math.log2(math.prod(row['size'])):.0f}", f"{ms_1:.1f}", f"{ms_2:.1f}", f"{ms_2 / ms_1:.2f}"]
        )
    head = ["rows", "negatives", "width", "multiplications", "1 thread, ms", "2 threads, ms", "ratio"]
    return markdown_table(head, lines)


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--data_path", type=Path, default=Path("datasets"))
    parser.add_argument("--table", action="store_true", help="measure nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        if os.environ.get("OMP_WAIT_POLICY") != "PASSIVE":
            parser.error("set OMP_WAIT_POLICY=PASSIVE, as every command does")
        load = os.getloadavg()[0]
        rows = [{"size": size, "ms": measure(size, arguments.repeats, arguments.data_path)} for size in SIZES]
        content = {"date": date.today().isoformat(), "cores": os.cpu_count(), "load_before": round(load, 1)}
        content |= {"versions": versions(), "repeats": arguments.repeats, "rows": rows}
        RESULT.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()
