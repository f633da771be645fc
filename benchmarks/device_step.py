"""A training step on a device: float32, TF32 and bfloat16, as written and compiled, sampled and full softmax.

    uv run benchmarks/device_step.py [--device=cuda] [--windows=128] [--items=1000000] [--repeats=7]

The encoder of the corrected-logQ paper (width 128, two blocks, one head, dropout 0.5, length 200) on windows of random
lengths with items by popularity; 256 in-batch negatives with corrected logQ and sparse gradients, or the full softmax
over all items with dense ones. "compiled" is torch.compile, for any number of tokens, on what treats positions alone: a
block's feed-forward layer with its norm. cut-cross-entropy (Wijmans et al. 2025) stands beside on a GPU where it is
installed; its backward pass takes bfloat16 alone. TF32 is torch.set_float32_matmul_precision("high").

Rates are positives per second of wall-clock on an accelerator and per CPU second of one thread on the CPU, where the
defaults are 16 windows and 20,000 items; each variant has its own model and all are measured in turn. Memory is the
accelerator's, at its peak.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable
from contextlib import nullcontext
from datetime import date
from importlib.util import find_spec
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import torch
from torch import Tensor

from recbole_logq.losses import get_loss, mean_over_rows
from recbole_logq.modules.packing import Packing
from recbole_logq.modules.transformer import SequenceEncoder
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import get_sampler, valid_columns
from recbole_logq.training.lazy_adam import LazyAdam

RESULTS = Path(__file__).parent / "results" / "device_step"
SIZE, LENGTH, NEGATIVES, STEPS, LEAST = 128, 200, 256, 3, 0.5
SAMPLED, FULL, CUT = "corrected logQ, 256 in-batch", "full softmax", "full softmax, cut-cross-entropy"


class Variant:
    """One way of taking a step, ready to be measured."""

    def __init__(
        self, loss: str, precision: str, compiled: bool, device: torch.device, windows: int, items: int
    ) -> None:
        torch.manual_seed(0)
        self.device, self.windows, self.loss_name, self.precision = device, windows, loss, precision
        sampled = loss == SAMPLED
        self.table = torch.nn.Embedding(items + 1, SIZE, padding_idx=0, sparse=sampled, device=device)
        torch.nn.init.normal_(self.table.weight, std=0.02)
        shape = {"n_layers": 2, "n_heads": 1, "inner_size": 4 * SIZE, "dropout": 0.5, "norm": "pre"}
        self.encoder = SequenceEncoder(size=SIZE, max_length=LENGTH, initializer_range=0.02, **shape).to(device)
        if compiled:
            for block in self.encoder.blocks:
                norm, layer = block.feed_forward_norm, block._feed_forward
                block._feed_forward = torch.compile(_after(norm, layer), dynamic=True)
                block.feed_forward_norm = torch.nn.Identity()
        parameters = [*self.table.parameters(), *self.encoder.parameters()]
        self.optimizer = LazyAdam(parameters) if sampled else torch.optim.Adam(parameters)
        for group in self.optimizer.param_groups:
            group["fused"] = True
        popularity = 1.0 / torch.arange(1, items + 1, dtype=torch.float64)
        self.law = popularity.cumsum(0)
        counts = torch.cat([torch.zeros(1, dtype=torch.int64), (popularity * 1e9).long().clamp_min(1)])
        self.sampler = get_sampler("in_batch")(TargetCounts(counts), count=NEGATIVES, seed=0).to(device)

    def batch(self) -> tuple[Tensor, Tensor, Packing]:
        """Inputs, targets and packing of a step."""
        packing = Packing(torch.randint(LENGTH // 2, LENGTH + 1, (self.windows,)), self.device)
        drawn = torch.searchsorted(self.law, torch.rand(2, packing.n_tokens, dtype=torch.float64) * self.law[-1])
        inputs, targets = (drawn.clamp_max(len(self.law) - 1) + 1).to(self.device)
        return inputs, targets, packing

    def losses(self, query: Tensor, targets: Tensor) -> Tensor:
        """The mean loss of a step's rows."""
        if self.loss_name == CUT:
            from cut_cross_entropy import linear_cross_entropy

            return linear_cross_entropy(query.bfloat16(), self.table.weight.bfloat16(), targets)
        if self.loss_name == FULL:
            vectors = self.table.weight[1:]
            return get_loss("full_softmax").from_vectors(query, self.table(targets), vectors).mean()
        loss, pool = get_loss("corrected_logq"), self.sampler.sample(targets)
        valid = valid_columns(pool, targets, loss.hits)
        assert valid is not None
        terms = pool.terms(targets)
        values = loss.from_vectors(query, self.table(targets), self.table(pool.ids), terms, valid=valid)
        return mean_over_rows(values, valid.any(1))

    def measure(self, least: float = 0.0) -> float:
        """Positives per second over some steps, and over more of them until ``least`` seconds are measured."""
        rows, seconds = 0, 0.0
        clock = process_time if self.device.type == "cpu" else perf_counter
        bf16 = self.precision == "bfloat16"
        torch.set_float32_matmul_precision("high" if self.precision == "TF32" else "highest")
        while not rows or seconds < least:
            batches = [self.batch() for _ in range(STEPS)]
            self._wait()
            start = clock()
            for inputs, targets, packing in batches:
                self.optimizer.zero_grad(set_to_none=True)
                with torch.autocast(self.device.type, dtype=torch.bfloat16) if bf16 else nullcontext():
                    loss = self.losses(self.encoder(self.table(inputs), packing), targets)
                loss.backward()
                self.optimizer.step()
            self._wait()
            seconds += clock() - start
            rows += sum(packing.n_tokens for _, _, packing in batches)
        return rows / seconds

    def memory(self) -> float | None:
        """Peak memory of the accelerator over a few steps, MB; other variants must not be alive."""
        if self.device.type == "cpu":
            return None
        torch.cuda.reset_peak_memory_stats()
        self.measure()
        return torch.cuda.max_memory_allocated() / 1e6

    def _wait(self) -> None:
        if self.device.type != "cpu":
            torch.cuda.synchronize()


def _after(norm: torch.nn.Module, layer: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return lambda states: layer(norm(states))


def main() -> None:
    """Measure in turn and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--windows", type=int)
    parser.add_argument("--items", type=int)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    device = torch.device(arguments.device)
    small = device.type == "cpu"
    windows, items = arguments.windows or (16 if small else 128), arguments.items or (20_000 if small else 1_000_000)
    losses = [SAMPLED, FULL] + ([CUT] if not small and find_spec("cut_cross_entropy") else [])
    precisions = ("float32", "bfloat16") if small else ("float32", "TF32", "bfloat16")
    ways = [
        (loss, precision, compiled)
        for loss in losses
        for precision in precisions
        for compiled in (False, True)
        if loss != CUT or precision == "bfloat16"  # its backward pass takes 16 bits alone
    ]
    memory = {way: Variant(*way, device, windows, items).memory() for way in ways}
    variants = {way: Variant(*way, device, windows, items) for way in ways}
    rates: dict[Any, list[float]] = {way: [] for way in ways}
    for repeat in range(arguments.repeats + 1):
        for way, variant in variants.items():
            rate = variant.measure(LEAST)
            if repeat:  # the first compiles
                rates[way].append(rate)
    name = "cpu" if small else torch.cuda.get_device_name()
    RESULTS.mkdir(parents=True, exist_ok=True)
    content = {
        "date": date.today().isoformat(),
        "torch": torch.__version__.split("+")[0],
        "device": name,
        "windows": windows,
        "items": items,
        "rows": [
            {"loss": loss, "precision": precision, "compiled": compiled, "rates": rates[way], "memory_mb": memory[way]}
            for way in ways
            for loss, precision, compiled in [way]
        ],
    }
    (RESULTS / f"{name.replace(' ', '-')}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """What is stored, a table for each device."""
    parts = []
    for path in sorted(RESULTS.glob("*.json")):
        stored = json.loads(path.read_text(encoding="utf-8"))
        unit = "CPU s" if stored["device"] == "cpu" else "s"
        title = f"{stored['device']}, torch {stored['torch']}, {stored['windows']} windows, {stored['items']:,} items"
        lines = [
            f"{title}{'; ' + note if (note := stored.get('note')) else ''}:",
            "",
            f"| loss | precision | | positives / {unit}, median | lowest - highest | memory |",
            "|---|---|---|---|---|---|",
        ]
        for row in stored["rows"]:
            rates = row["rates"]
            memory = "-" if row["memory_mb"] is None else f"{row['memory_mb'] / 1000:.1f} GB"
            precision, compiled = row["precision"], "compiled" if row["compiled"] else "as written"
            span = f"{min(rates):,.0f} - {max(rates):,.0f}"
            lines.append(
                f"| {row['loss']} | {precision} | {compiled} | {statistics.median(rates):,.0f} | {span} | {memory} |"
            )
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


if __name__ == "__main__":
    main()
