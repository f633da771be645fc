"""Long training, many runs in one process, a sweep: what stays in memory, open or running.

    uv run benchmarks/soak.py [--part=steps|runs|sweeps]

One thread. **steps**: TwoTowerCorrectedLogQ on made-up data with 100,000 items, 2,000 steps of 512 interactions with an
evaluation after every epoch of some 175, looked at every 100 steps; warm-up is all until after the second evaluation.
**runs**: 50 runs of two epochs one after the other, warm-up is the first 10. **sweeps**: three of them, each with a Ray
of its own and two trials, warm-up is the first. Memory is the resident size of the process, once the allocator has
given back what is free: blocks that one evaluation or checkpoint has freed and the next will use again are no growth.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import logging
import os
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch

from recbole_logq import run
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table

RESULT = Path(__file__).parent / "results" / "soak.json"
SEED, ITEMS, USER_SHARE, BATCH, STEPS, EVERY = 1, 100_000, 5, 512, 2_000, 100
RUNS, WARM_RUNS = 50, 10


def write_dataset(name: str, users: int, items: int, interactions: int) -> None:
    """Users and items by Zipf's law, every item once at least, split by a random order."""
    draw = np.random.default_rng(SEED)
    popularity = 1 / np.arange(1, items + 1)
    chosen = draw.choice(items, interactions, p=popularity / popularity.sum())
    chosen[:items] = draw.permutation(items)[:interactions]
    user_of_row = draw.integers(0, users, interactions)
    rows = [f"u{user}\ti{item}\t{n}\n" for n, (user, item) in enumerate(zip(user_of_row, chosen, strict=True))]
    folder = Path("data") / name
    folder.mkdir(parents=True)
    (folder / f"{name}.inter").write_text(
        "user_id:token\titem_id:token\ttimestamp:float\n" + "".join(rows), encoding="utf-8"
    )


def look(at: int) -> dict[str, int]:
    """What this process holds now."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    process = psutil.Process()
    return {
        "at": at,
        "memory_bytes": process.memory_info().rss,
        "open_files": process.num_fds(),
        "threads": process.num_threads(),
        "children": len(process.children(recursive=True)),
        "log_handlers": len(logging.getLogger().handlers),
    }


def steps(n_steps: int, items: int) -> dict[str, Any]:
    """One long run."""
    write_dataset("large", items // USER_SHARE, items, (n_steps // 10) * BATCH * 10 // 8)
    looks: list[dict[str, int]] = []
    epochs: list[int] = []

    def watch(trainer: Any, loaders: Any) -> None:
        step, count = trainer._train_batch, 0
        epochs.append(len(loaders[0]))

        def watched(*args: Any) -> Any:
            nonlocal count
            loss = step(*args)
            count += 1
            if count % EVERY == 0 and count <= n_steps:
                looks.append(look(count))
            return loss

        trainer._train_batch = watched

    settings = {**common(), "train_batch_size": BATCH, "epochs": 12, "diagnostics": False}
    run("TwoTowerCorrectedLogQ", "large", config_dict=settings, callback=watch)
    return {"items": items, "steps": n_steps, "warm_up": 2 * epochs[0] + 1, "looks": looks}


def runs(n_runs: int) -> dict[str, Any]:
    """Many short ones."""
    write_dataset("small", 300, 200, 4_000)
    looks = []
    for number in range(1, n_runs + 1):
        model = ("TwoTowerCorrectedLogQ", "TwoTowerCBNS", "BPR")[number % 3]
        run(model, "small", config_dict={**common(), "epochs": 2})
        looks.append(look(number))
    return {"runs": n_runs, "warm_up": min(WARM_RUNS, n_runs // 2), "looks": looks}


def after_sweeps() -> dict[str, Any]:
    """What Ray leaves."""
    import ray

    from recbole_logq.sweeps.sweep import sweep

    write_dataset("swept", 300, 200, 4_000)
    looks = []
    options = {"model": "BPR", "dataset": "swept", "trials": 2, "epochs": 2, "data_path": str(Path("data").absolute())}
    for number in range(1, 4):
        sweep(
            None, {**options, "space": {"learning_rate": [0.01, 0.001]}}, folder=str(Path(f"sweep{number}").absolute())
        )
        looks.append(look(number))
    return {"sweeps": len(looks), "warm_up": 1, "looks": looks, "ray_is_running": ray.is_initialized()}


def common() -> dict[str, Any]:
    return {"data_path": "data", "state": "WARNING", "show_progress": False, "seed": SEED}


def growth(part: dict[str, Any]) -> dict[str, float]:
    """From the end of warm-up to the last look; memory as a share, the rest as numbers."""
    warm = next(moment for moment in part["looks"] if moment["at"] >= part["warm_up"])
    last = part["looks"][-1]
    counts = ("open_files", "threads", "children", "log_handlers")
    return {"memory": last["memory_bytes"] / warm["memory_bytes"] - 1, **{key: last[key] - warm[key] for key in counts}}


def table() -> str:
    """Of the stored measurements, as Markdown."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    head = ["", "warm-up", "memory then", "at the end", "growth", "more open files, threads, processes, log handlers"]
    rows = []
    for name in ("steps", "runs", "sweeps"):
        part = stored[name]
        more = growth(part)
        warm = next(moment for moment in part["looks"] if moment["at"] >= part["warm_up"])
        size = f", {part['items']:,} items" if name == "steps" else " in one process"
        counts = ", ".join(str(more[key]) for key in ("open_files", "threads", "children", "log_handlers"))
        memory = [f"{look['memory_bytes'] / 1e6:.0f} MB" for look in (warm, part["looks"][-1])]
        length = [f"{part[name]:,} {name}{size}", f"{warm['at']} {name}"]
        rows.append([*length, *memory, f"{more['memory']:+.1%}", counts])
    ray = "running" if stored["sweeps"]["ray_is_running"] else "stopped"
    children = stored["sweeps"]["looks"][-1]["children"]
    lines = [
        markdown_table(head, rows),
        "",
        f"After the last sweep Ray is {ray}, and {children} of its processes (actors among them) are left.",
    ]
    origin = stored["made"]
    lines += ["", f"`{origin['command']}`, {origin['date']}, torch {origin['versions']['torch']}, seed {SEED}."]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--part", choices=["steps", "runs", "sweeps"])
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--items", type=int, default=ITEMS)
    parser.add_argument("--runs", type=int, default=RUNS)
    parser.add_argument("--result", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    stored = json.loads(arguments.result.read_text(encoding="utf-8")) if arguments.result.exists() else {}
    parts = {
        "steps": lambda: steps(arguments.steps, arguments.items),
        "runs": lambda: runs(arguments.runs),
        "sweeps": after_sweeps,
    }
    target = arguments.result.absolute()
    before = Path.cwd()
    for name in [arguments.part] if arguments.part else parts:
        with tempfile.TemporaryDirectory() as scratch:
            os.chdir(scratch)
            stored[name] = parts[name]()
            os.chdir(before)
        print(name, {key: round(value, 4) for key, value in growth(stored[name]).items()})
    stored["made"] = {"command": "uv run benchmarks/soak.py", "date": str(date.today()), "versions": versions()}
    target.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
