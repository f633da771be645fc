"""A training step on a device: ordinary, of fixed shapes, as one CUDA graph; float32, TF32, bfloat16; and one training.

    uv run benchmarks/device_step.py [--output=FILE] [--seconds=0.4] [--only=TEXT] [--data_path=FOLDER]

SASRec of the corrected-logQ paper (width 128, two blocks, one head, dropout 0.5, length 200) on sequences of 100 to 200
items by popularity, cut at random, 19,200 positions a step; 256 negatives with corrected logQ from a million items with
sparse gradients, 32 mixed pools, the full softmax over all items with dense ones; and TwoTower on interactions. It is
the package's own step: loader, forward, backward, optimizer.

It begins with a check: gradients of a step of fixed shapes against an ordinary one's, and parameters after steps of a
graph against the same steps taken one kernel at a time. Then rates, in positives per second of wall-clock, next to what
bounds them: arithmetic, bytes that a step cannot do without, launches. At last, where the data is at hand, a training
on ml-1m from end to end. What has been measured is written after each part, and a part that fails leaves its error.

Without a GPU everything is small, and the graph is the same step called as it is.
"""

from __future__ import annotations

import argparse
import gc
import json
import statistics
import sys
import traceback
from collections.abc import Callable, Iterator
from datetime import date
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

import torch
from launches import LaunchCounter
from synthetic_sequences import SyntheticSequences
from torch import Tensor

from recbole_logq.config import Config
from recbole_logq.data.batches.planned_batch import PlannedBatch
from recbole_logq.markup import markdown_table
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.pool import Pool
from recbole_logq.training.fixed_step import FixedStep
from recbole_logq.training.retrieval_trainer import RetrievalTrainer

RESULTS = Path(__file__).parent / "results" / "device_step"
CUDA = torch.cuda.is_available()
SIZE, LENGTH, NEGATIVES, BLOCKS = (128, 200, 256, 2) if CUDA else (32, 40, 64, 2)
DEVICE = torch.device("cuda" if CUDA else "cpu")
ITEMS, USERS, TOKENS = (1_000_000, 3_000, 19_200) if CUDA else (2_000, 60, 400)
CHECKED = 20_000 if CUDA else 1_000
INTERACTIONS = 16_384 if CUDA else 512
COMMON: dict[str, Any] = {"show_progress": False, "state": "WARNING", "diagnostics": False, "use_gpu": CUDA}
SASREC: dict[str, Any] = {
    "MAX_ITEM_LIST_LENGTH": LENGTH,
    "embedding_size": SIZE,
    "inner_size": 4 * SIZE,
    "n_layers": BLOCKS,
    "n_heads": 1,
    "dropout": 0.5,
    "train_batch_tokens": TOKENS,
}
MODELS: dict[str, tuple[str, dict[str, Any]]] = {
    "SASRec, corrected logQ, 256 in-batch": ("SASRecCorrectedLogQ", {**SASREC, "negatives.count": NEGATIVES}),
    "SASRec, corrected logQ, 32 mixed pools of 256": (
        "SASRecMNSCorrectedLogQ",
        {**SASREC, "negatives.count": NEGATIVES, "pools": 32},
    ),
    "SASRec, full softmax": ("SASRecFullSoftmax", SASREC),
    "TwoTower, corrected logQ, 256 in-batch": (
        "TwoTowerCorrectedLogQ",
        {"embedding_size": SIZE, "negatives.count": NEGATIVES, "train_batch_size": INTERACTIONS},
    ),
}
WAYS = {"ordinary": {}, "fixed shapes": {"cuda_graph": True}, "one graph": {"cuda_graph": True}}
LINES = [
    *(("float32", way) for way in WAYS),
    ("TF32", "one graph"),
    ("bfloat16", "ordinary"),
    ("bfloat16", "one graph"),
]


@cache
def _sequences(items: int) -> SyntheticSequences:
    return SyntheticSequences(USERS, items, LENGTH, LENGTH // 2, LENGTH)


class Candidate:
    """A model, its loader and its trainer, ready to take steps."""

    def __init__(self, name: str, way: str, precision: str = "float32", items: int = ITEMS, **settings: Any) -> None:
        model, of_model = MODELS[name]
        self.way, self.precision = way, precision
        amp = {"enable_amp": precision == "bfloat16"}
        self.config = Config(model, "synthetic", None, {**COMMON, **of_model, **WAYS[way], **amp, **settings})
        self.config["device"] = DEVICE
        torch.manual_seed(0)
        part = _sequences(items)
        self.model: RetrievalMixin = self.config.model_class(self.config, part).to(DEVICE).train()
        self.trainer = RetrievalTrainer(self.config, self.model)
        self.loader = self.config.model_class.train_loader(self.config, part)
        self.trainer._plan_steps(self.loader)
        if way == "fixed shapes" and isinstance(step := self.trainer.fixed_step, FixedStep):
            self.trainer.fixed_step = FixedStep(
                self.model, self.trainer.optimizer, DEVICE, 0, step.clip, step.bfloat16, captured=False
            )
        self.loader.start_epoch()
        self.schedule = self.trainer._get_schedule(self.loader.steps_per_epoch)
        self.scaler = torch.amp.GradScaler(DEVICE.type, enabled=False)
        self.batches = self._endless()

    def _endless(self) -> Iterator[Any]:
        while True:
            # An epoch's last batches may not be full.
            planned = self.way != "ordinary"
            yield from (batch for batch in self.loader if isinstance(batch, PlannedBatch) == planned)

    def step(self) -> int:
        """One step; its positives."""
        batch = next(self.batches)
        if isinstance(batch, PlannedBatch):
            assert self.trainer.fixed_step is not None
            self.loss = self.trainer.fixed_step(batch)
            return batch.n_positives
        self.loss = self.trainer._train_batch(batch, self.scaler, self.schedule)
        return len(batch[self.model.ITEM_ID])

    def measure(self, seconds: float, repeats: int = 5) -> dict[str, Any]:
        """Positives per second and milliseconds a step, medians; and the memory of the device at its peak."""
        torch.set_float32_matmul_precision("high" if self.precision == "TF32" else "highest")
        for _ in range(5):  # a graph is captured in the fourth
            self.step()
        wait()
        if CUDA:
            torch.cuda.reset_peak_memory_stats()
        start = perf_counter()
        self.step()
        wait()
        steps = max(int(seconds / repeats / (perf_counter() - start)), 1)
        rates, times = [], []
        for _ in range(repeats):
            start = perf_counter()
            positives = sum(self.step() for _ in range(steps))
            wait()
            spent = perf_counter() - start
            rates.append(positives / spent)
            times.append(1000 * spent / steps)
        torch.set_float32_matmul_precision("highest")
        return {
            "positives_per_second": statistics.median(rates),
            "lowest": min(rates),
            "highest": max(rates),
            "ms": statistics.median(times),
            "loss": float(self.loss),
            "memory_gb": torch.cuda.max_memory_allocated() / 1e9 if CUDA else None,
        }


def wait() -> None:
    """Wait for the device."""
    if CUDA:
        torch.cuda.synchronize()


def free() -> None:
    """Give back the memory of what is no longer used."""
    gc.collect()
    if CUDA:
        torch.cuda.empty_cache()


class _Preset(DeviceNumbers):
    """The same uniform draws in every step."""

    def __init__(self, ids: Tensor) -> None:
        super().__init__(ids.device, 0)
        self.ids = ids

    def whole(self, low: int, high: int, *shape: int) -> Tensor:
        return self.ids.view(shape)


def check() -> dict[str, Any]:
    """Differences of gradients and of parameters; relative to the largest entry of each parameter."""
    name, small = next(iter(MODELS)), {"dropout": 0.0, "negatives.source": "uniform"}
    differences: dict[str, Any] = {}
    fixed = Candidate(name, "fixed shapes", items=CHECKED, sparse_embeddings=False, **small)
    ids = torch.randint(1, CHECKED, (1, NEGATIVES), device=DEVICE)
    batch = next(batch for batch in fixed.loader if isinstance(batch, PlannedBatch))
    sampler = fixed.model.sampler
    sampler.numbers = _Preset(ids)
    tensors = batch.make(batch.plan)
    of_fixed = _gradients(fixed.model, tensors)
    # The same windows the ordinary way, against the same pool.
    windows = fixed.loader.dataset.windows
    starts, sizes = batch.plan.cpu()[:, : int(batch.plan[1].count_nonzero())]
    pairs = zip(starts, sizes, strict=True)
    rows = torch.stack([((windows.start == a) & (windows.size == b)).nonzero()[0, 0] for a, b in pairs])
    pool = Pool(ids[0], "draws", torch.full_like(ids[0], -1), sampler._log_q_of(ids[0]), sampler._log_q_of)
    sampler.sample = lambda *_, **__: pool
    of_ordinary = _gradients(fixed.model, fixed.loader.batch(rows).to(DEVICE))
    differences["gradient, fixed against ordinary"] = max(
        float((of_fixed[key] - value).abs().max() / value.abs().max().clamp_min(1e-12))
        for key, value in of_ordinary.items()
    )
    del fixed, tensors
    free()
    for label, settings in (("dense", {"sparse_embeddings": False}), ("sparse", {"sparse_embeddings": True})):
        ends = {}
        for way in ("fixed shapes", "one graph"):
            candidate = Candidate(name, way, items=CHECKED, **small, **settings)
            candidate.model.sampler.numbers.generator.manual_seed(7)
            for _ in range(8):
                candidate.step()
            ends[way] = [parameter.detach().clone() for parameter in candidate.model.parameters()]
            if way == "one graph" and CUDA:
                differences[f"captured, {label}"] = candidate.trainer.fixed_step._run.graph is not None
            del candidate
            free()
        differences[f"parameters after 8 steps, graph against fixed, {label}"] = max(
            float((a - b).abs().max() / a.abs().max().clamp_min(1e-12))
            for a, b in zip(ends["one graph"], ends["fixed shapes"], strict=True)
        )
    return differences


def _gradients(model: Any, batch: Any) -> dict[str, Tensor]:
    model.zero_grad()
    model.calculate_loss(batch).backward()
    return {name: p.grad.to_dense().clone() for name, p in model.named_parameters() if p.grad is not None}


def bounds(name: str) -> dict[str, float]:
    """What a step of that model cannot do without: arithmetic, GFLOP; bytes that are read and written, GB."""
    rows = INTERACTIONS if name.startswith("TwoTower") else TOKENS
    columns = ITEMS if "full" in name else NEGATIVES
    flop = 6.0 * rows * SIZE * columns
    looked_up = 2 * rows + NEGATIVES
    if not name.startswith("TwoTower"):
        flop += 6.0 * rows * BLOCKS * 12 * SIZE**2 + 6.0 * rows * BLOCKS * 2 * SIZE * (LENGTH / 2)
    # Weights and two moments of what is looked up, or of everything: read and written, and the gradient.
    table = 4.0 * SIZE * (ITEMS if "full" in name else looked_up) * 8
    return {"gflop": flop / 1e9, "gb": (table + 4.0 * SIZE * rows * 12) / 1e9}


def launches(name: str) -> dict[str, int]:
    """Operators that write on the device in a step of fixed shapes, forward, backward and optimizer."""
    candidate = Candidate(name, "fixed shapes")
    for _ in range(2):
        candidate.step()
    batch = next(candidate.batches)
    model, counts = candidate.model, {}
    model.fixed_shapes = True
    with LaunchCounter(DEVICE) as forward:
        loss = model.calculate_loss(batch.make(batch.plan))
    with LaunchCounter(DEVICE) as backward:
        loss.backward()
    model.fixed_shapes = False
    with LaunchCounter(DEVICE) as optimizer:
        candidate.trainer.optimizer.step()
    for part, counter in (("forward", forward), ("backward", backward), ("optimizer", optimizer)):
        counts[part] = counter.total
    return counts


def train_ml1m(data_path: str) -> dict[str, Any]:
    """SASRec on ml-1m, 60 epochs with validation every tenth, from the files to the test result."""
    from recbole_logq import run

    results = {}
    for way in ("one graph", "ordinary"):
        start = perf_counter()
        settings = {**COMMON, **WAYS[way], "data_path": data_path, "MAX_ITEM_LIST_LENGTH": 200, "embedding_size": 128}
        settings |= {"epochs": 60, "eval_step": 10, "stopping_step": 100, "train_batch_tokens": 19_200}
        settings |= {"negatives.count": 256, "dropout": 0.5}
        with TemporaryDirectory() as folder:
            result = run("SASRecCorrectedLogQ", "ml-1m", config_dict={**settings, "checkpoint_dir": folder})
        results[way] = {"seconds": perf_counter() - start, "test": dict(result["test_result"])}
    return results


def main() -> int:
    """Measure part by part, write after each, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--seconds", type=float, default=0.4, help="measured seconds of a line")
    parser.add_argument("--only", default="", help="lines whose name contains it")
    parser.add_argument("--data_path", help="folder with ml-1m, for the training")
    arguments = parser.parse_args()
    torch.set_num_threads(4 if CUDA else 1)
    name = torch.cuda.get_device_name() if CUDA else "cpu"
    # Without a GPU it shows that everything runs, and its rates are those of no one's training.
    output: Path | None = arguments.output or (RESULTS / f"{name.replace(' ', '-')}.json" if CUDA else None)
    content: dict[str, Any] = {
        "date": date.today().isoformat(),
        "torch": torch.__version__.split("+")[0],
        "device": name,
        "items": ITEMS,
        "positions": TOKENS,
        "interactions": INTERACTIONS,
    }
    begin = perf_counter()

    def part(label: str, function: Callable[[], Any]) -> None:
        if arguments.only not in label:
            return
        start = perf_counter()
        try:
            content[label] = function()
        except Exception as error:
            content[label] = {
                "error": f"{type(error).__name__}: {error}"[:500],
                "where": traceback.format_exc()[-1500:],
            }
        print(
            f"[{perf_counter() - begin:.0f} s] {label} ({perf_counter() - start:.1f} s): {content[label]}", flush=True
        )
        if output:
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        free()

    part("check", check)
    for model in MODELS:
        part(f"bounds, {model}", lambda model=model: bounds(model))
        part(f"launches, {model}", lambda model=model: launches(model))
        for precision, way in LINES:
            part(
                f"{model}; {precision}; {way}",
                lambda model=model, way=way, precision=precision: Candidate(model, way, precision).measure(
                    arguments.seconds
                ),
            )
    if arguments.data_path:
        part("training on ml-1m", lambda: train_ml1m(arguments.data_path))
    if output:
        print(_table(content))
    return 0


def table() -> str:
    """What is stored, a table for each device."""
    stored = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(RESULTS.glob("*.json"))]
    return "\n\n".join(_first_table(part) if "rows" in part else _table(part) for part in stored)


def _table(stored: dict[str, Any]) -> str:
    """Rates of each model and way, with what bounds them."""
    title = f"{stored['device']}, torch {stored['torch']}, {stored['items']:,} items"
    steps = f"{title}, {stored['positions']:,} positions or {stored['interactions']:,} interactions a step:"
    rates, launches = [], []
    for model in MODELS:
        for precision, way in LINES:
            row = stored.get(f"{model}; {precision}; {way}")
            if not row or "error" in row:
                continue
            memory = f"{row['memory_gb']:.1f} GB" if row["memory_gb"] else "-"
            span = f"{row['lowest']:,.0f} - {row['highest']:,.0f}"
            rate = f"{row['positives_per_second']:,.0f}"
            rates.append([model, precision, way, rate, span, f"{row['ms']:.2f}", memory])
    for model in MODELS:
        counts, bound = stored.get(f"launches, {model}"), stored.get(f"bounds, {model}")
        if counts and bound and "error" not in counts:
            counted = ", ".join(str(counts[part]) for part in ("forward", "backward", "optimizer"))
            launches.append([model, counted, f"{bound['gflop']:,.0f}", f"{bound['gb']:.2f}"])
    heads = ["model", "precision", "step", "positives / s, median", "lowest - highest", "ms", "memory"]
    bounds = ["model", "launches: forward, backward, optimizer", "GFLOP", "GB"]
    return "\n\n".join([steps, markdown_table(heads, rates), markdown_table(bounds, launches)])


def _first_table(stored: dict[str, Any]) -> str:
    """What the first form of this benchmark has stored: compiled or not, of a step written out for it."""
    unit = "CPU s" if stored["device"] == "cpu" else "s"
    title = f"{stored['device']}, torch {stored['torch']}, {stored['windows']} windows, {stored['items']:,} items"
    lines = []
    for row in stored["rows"]:
        rates = row["rates"]
        memory = "-" if row["memory_mb"] is None else f"{row['memory_mb'] / 1000:.1f} GB"
        precision, compiled = row["precision"], "compiled" if row["compiled"] else "as written"
        span = f"{min(rates):,.0f} - {max(rates):,.0f}"
        lines.append([row["loss"], precision, compiled, f"{statistics.median(rates):,.0f}", span, memory])
    heads = ["loss", "precision", "", f"positives / {unit}, median", "lowest - highest", "memory"]
    note = f"; {stored['note']}" if stored.get("note") else ""
    return f"{title}{note}:\n\n{markdown_table(heads, lines)}"


if __name__ == "__main__":
    sys.exit(main())
