"""The Triton kernel of a pool's logsumexp on a GPU: whether it is right, and how long it takes beside plain torch.

    uv run benchmarks/pool_kernel.py [--device=cuda] [--seconds=70] [--output=FILE.json]

A minute on one GPU. First, values and gradients against float64 for each precision of products; then a forward and a
backward pass, in turn, by the kernel and by the package's code without it: 19,200 rows against a pool of 256 (a step of
SASRec at 128 windows of length 200), the same rows against 32 pools of 256, 2,048 rows against each other, and the
full softmax of 2,048 rows over a million items, where torch's `linear_cross_entropy` stands beside if there is one.
Last, other cuts of the work, for as long as the time allows. Milliseconds are medians: "eager" with the host's part,
"graph" replayed from a CUDA graph. FLOPs are those of the matrix products that a way does, bytes those that any way has
to move: queries, vectors and both gradients. What is measured is written at once; a part that fails is written as its
error.

Without a GPU (--device=cpu, under TRITON_INTERPRET=1) it runs itself through tiny sizes and measures nothing.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import statistics
import traceback
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import date
from pathlib import Path
from time import perf_counter
from typing import Any

import torch
from torch import Tensor

from recbole_logq.losses.catalogue_logsumexp import catalogue_logsumexp
from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.fused_logsumexp import Tiling, Tilings, fused_logsumexp
from recbole_logq.losses.pool_logsumexp import pool_logsumexp
from recbole_logq.losses.pools_logsumexp import pools_logsumexp
from recbole_logq.losses.terms import Terms

RESULTS = Path(__file__).parent / "results" / "pool_kernel"
PRECISIONS = ("tf32x3", "tf32", "bfloat16", "ieee")
TORCH_PRECISION = {"tf32x3": "highest", "ieee": "highest", "tf32": "high", "bfloat16": "medium"}
START = perf_counter()


@dataclass(frozen=True)
class Case:
    """A problem's sizes."""

    rows: int
    pool: int
    width: int
    pools: int = 1
    mask: str = "id"

    def tensors(self, device: torch.device, scale: float = 0.3) -> tuple[Tensor, Tensor, Tensor | None, Any]:
        """Queries, vectors, log Q and the mask; catalogues have neither of the last two."""
        generator = torch.Generator(device).manual_seed(self.rows)
        pools = (self.pools,) if self.pools > 1 else ()

        def normal(*shape: int) -> Tensor:
            return torch.randn(*shape, generator=generator, device=device)

        def whole(high: int, *shape: int) -> Tensor:
            return torch.randint(high, shape, generator=generator, device=device)

        query, vectors = scale * normal(self.rows, self.width), normal(*pools, self.pool, self.width)
        if self.mask == "none":
            return query, vectors, None, None
        offset, size = normal(*pools, self.pool) - 8, math.ceil(self.rows / self.pools)
        by_id = {"row_id": whole(500, self.rows), "column_id": whole(500, *pools, self.pool)}
        further: dict[str, Any] = {}
        if self.mask in ("key", "kept"):
            further = {"row_key": whole(96, self.rows), "column_key": whole(96, *pools, self.pool)}
        if self.mask in ("sets", "kept"):
            held = torch.rand(*pools, 64, self.pool, generator=generator, device=device) < 0.1
            further |= {"row_set": whole(64, self.rows), "held": held, "spares_own": self.mask == "kept"}
        return query, vectors, offset, ColumnMask(**by_id, **further, rows_a_pool=size if pools else None)


def plain(query: Tensor, vectors: Tensor, offset: Tensor | None, mask: Any, pools: int) -> Tensor:
    """The definition: scores in memory."""
    if pools == 1:
        scores = query @ vectors.T if offset is None else query @ vectors.T - offset
    else:
        pool = torch.arange(len(query), device=query.device) // math.ceil(len(query) / pools)
        scores = (query.unsqueeze(1) @ vectors.mT[pool]).squeeze(1)
        scores = scores if offset is None else scores - offset[pool]
    return torch.logsumexp(scores if mask is None else scores.masked_fill(~mask(0, len(query)), -1e30), dim=1)


def errors(case: Case, precision: str, device: torch.device, cuts: Tilings | None = None) -> dict[str, Any]:
    """Of values and gradients against float64: the largest, and the norm's relative one; torch's own beside."""
    query, vectors, offset, mask = case.tensors(device)
    weights = torch.linspace(0.5, 1.5, case.rows, device=device) / case.rows

    def gradients(value: Callable[..., Tensor], dtype: torch.dtype) -> list[Tensor]:
        leaves = [tensor.to(dtype).requires_grad_() for tensor in (query, vectors)]
        lse = value(*leaves, None if offset is None else offset.to(dtype), mask)
        lse = torch.where(lse < -1e29, 0.0, lse)
        return [lse.detach(), *torch.autograd.grad((lse * weights.to(dtype)).sum(), leaves)]

    exact = gradients(lambda q, v, o, m: plain(q, v, o, m, case.pools), torch.float64)
    ours = gradients(lambda q, v, o, m: fused_logsumexp(q, v, o, m, precision, cuts)[0], torch.float32)
    torch.set_float32_matmul_precision(TORCH_PRECISION[precision])
    theirs = gradients(lambda q, v, o, m: plain(q, v, o, m, case.pools), torch.float32)
    torch.set_float32_matmul_precision("highest")
    names = ("value", "query", "vectors")

    def of(tensors: list[Tensor]) -> dict[str, list[float]]:
        pairs = zip(names, tensors, exact, strict=True)
        return {
            name: [float((actual - expected).abs().max()), float((actual - expected).norm() / expected.norm())]
            for name, actual, expected in pairs
        }

    return {**asdict(case), "precision": precision, "kernel": of(ours), "torch": of(theirs)}


def milliseconds(step: Callable[[], Any], device: torch.device, repeats: int, graph: bool) -> float:
    """Median of a step's time; `graph`: replayed from a CUDA graph."""
    if device.type != "cuda":
        step()
        return math.nan
    replay = step
    for _ in range(3):
        step()
    if graph:
        torch.cuda.synchronize()
        captured, stream = torch.cuda.CUDAGraph(), torch.cuda.Stream()
        with torch.cuda.stream(stream):
            step()
        torch.cuda.synchronize()
        with torch.cuda.graph(captured):
            step()
        replay = captured.replay
        replay()
    times = []
    for _ in range(repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        replay()
        end.record()
        end.synchronize()
        times.append(begin.elapsed_time(end))
    return statistics.median(times)


def measured(
    name: str,
    case: Case,
    products: int,
    step: Callable[[], Any],
    device: torch.device,
    repeats: int,
    graph: bool = True,
) -> dict[str, Any]:
    """A step's times, memory and rates."""
    flops = products * 2.0 * case.rows * case.pool * case.width
    bytes_moved = 8.0 * case.width * (case.rows + case.pools * case.pool)
    result: dict[str, Any] = {"way": name, **asdict(case), "gflop": flops / 1e9, "mb": bytes_moved / 1e6}
    if device.type == "cuda":
        step()
        torch.cuda.synchronize()
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        step()
        torch.cuda.synchronize()
        result["memory_mb"] = (torch.cuda.max_memory_allocated() - before) / 1e6
    result["eager_ms"] = milliseconds(step, device, repeats, False)
    if graph:
        result["graph_ms"] = milliseconds(step, device, repeats, True)
    best = result.get("graph_ms", result["eager_ms"])
    return result | {"tflop_s": flops / best / 1e9, "gb_s": bytes_moved / best / 1e6}


def fused_step(case: Case, precision: str, device: torch.device, cuts: Tilings | None = None) -> Callable[[], Any]:
    """A forward and a backward pass by the kernel."""
    query, vectors, offset, mask = case.tensors(device)
    leaves = (query.requires_grad_(), vectors.requires_grad_())

    def step() -> Any:
        lse = fused_logsumexp(*leaves, offset, mask, precision, cuts)[0]
        return torch.autograd.grad(lse.mean(), leaves)

    return step


def torch_step(case: Case, device: torch.device) -> Callable[[], Any]:
    """The same by the package's torch code: one tile for a pool, one batched product for several."""
    query, vectors, offset, mask = case.tensors(device)
    leaves = (query.requires_grad_(), vectors.requires_grad_())

    def step() -> Any:
        if mask is None:
            lse = catalogue_logsumexp(*leaves, Terms(), "catalogue", 1024, "torch")
        elif case.pools > 1:
            by_pool = leaves[0].unflatten(0, (case.pools, -1))
            lse = pools_logsumexp(by_pool, leaves[1], offset, mask.invalid_by_pool())[0]
        else:
            terms = Terms(valid=mask(0, case.rows))
            lse = pool_logsumexp(*leaves, offset, terms, "pool", case.rows, "torch")[0]
        return torch.autograd.grad(lse.mean(), leaves)

    return step


def linear_cross_entropy_step(case: Case, device: torch.device) -> Callable[[], Any] | None:
    """torch's own, whose target's score is in it; None where torch has none."""
    function = getattr(torch.nn.functional, "linear_cross_entropy", None)
    if function is None:
        return None
    query, vectors, _, _ = case.tensors(device)
    leaves = (query.requires_grad_(), vectors.requires_grad_())
    target = torch.randint(case.pool, (case.rows,), device=device)
    return lambda: torch.autograd.grad(function(*leaves, target), leaves)


def cuts_to_try(precision: str, width: int) -> list[Tilings]:
    """Other cuts of the work, the likeliest first."""
    if precision == "bfloat16":
        ways = [(128, 64, 8, 3), (64, 64, 4, 3), (128, 128, 8, 2), (64, 128, 8, 2), (128, 64, 4, 2), (64, 32, 4, 3)]
    elif precision == "tf32":
        ways = [(128, 32, 8, 2), (64, 32, 4, 3), (64, 64, 8, 2), (128, 64, 8, 2), (64, 32, 4, 2), (128, 32, 8, 3)]
    else:
        ways = [(128, 32, 8, 2), (64, 32, 8, 2), (64, 32, 4, 3), (64, 64, 8, 2), (64, 16, 4, 3), (128, 16, 8, 3)]
    return [Tilings(Tiling(*way), Tiling(way[1], way[0], *way[2:])) for way in ways]


def compile_one(case: Case, precision: str, cuts: Tilings | None) -> float:
    """Compiles, in a process of its own, what a case needs; Triton keeps it in its cache on disk."""
    start = perf_counter()
    small = replace(case, rows=64 * case.pools, pool=min(case.pool, 1024))
    fused_step(small, precision, torch.device("cuda"), cuts)()
    torch.cuda.synchronize()
    return perf_counter() - start


class Record:
    """What is measured, in a file that is whole after each part."""

    def __init__(self, path: Path, device: torch.device, seconds: float) -> None:
        self.path, self.seconds = path, seconds
        self.content: dict[str, Any] = {"date": date.today().isoformat(), "torch": torch.__version__.split("+")[0]}
        self.content["device"] = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
        try:
            import triton

            self.content["triton"] = triton.__version__
        except ImportError:
            self.content["triton"] = None

    def part(self, section: str, work: Callable[[], Any], least_left: float = 3.0) -> Any:
        """The result of a piece of work, appended to a section; its error if it fails."""
        remaining = self.seconds - (perf_counter() - START)
        try:
            result = work() if remaining > least_left else {"left_out": f"{remaining:.0f} s left"}
        except Exception as error:
            traceback.print_exc()
            result = {"error": f"{type(error).__name__}: {str(error)[:2000]}"}
        self.content.setdefault(section, []).append(result)
        self.content["seconds"] = perf_counter() - START
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.write_text(json.dumps(self.content, indent=1) + "\n", encoding="utf-8")
        print(f"{perf_counter() - START:5.1f} s", section, json.dumps(result), flush=True)
        return result


def main() -> None:
    """Check, measure, try."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--seconds", type=float, default=70, help="after this no further part is begun")
    parser.add_argument("--output", type=Path)
    arguments = parser.parse_args()
    device = torch.device(arguments.device)
    cuda = device.type == "cuda"
    name = torch.cuda.get_device_name().replace(" ", "-") if cuda else "cpu"
    record = Record(arguments.output or RESULTS / f"{name}.json", device, arguments.seconds)
    scale = 1 if cuda else 64
    sequential = Case(19_200 // scale, 256 // min(scale, 8), 128)
    pooled = replace(sequential, pools=32 if cuda else 3)
    towers = Case(2_048 // scale, 2_048 // scale, 64)
    catalogue = Case(2_048 // scale, 1_000_000 // (scale * 100), 128, mask="none")
    checks = [
        Case(1_003 // min(scale, 16), 250 // min(scale, 4), 128, 1, "kept"),
        Case(1_003 // min(scale, 16), 250 // min(scale, 4), 128, 5, "key"),
        Case(310 // min(scale, 8), 40_000 // scale // 4, 128, 1, "none"),
    ]
    odd = [Case(300, 130, width, 1, "sets") for width in ((50, 100, 256) if cuda else (20,))]
    precisions = PRECISIONS if cuda else ("tf32x3",)  # the interpreter has no bfloat16
    if cuda:
        jobs = [(case, precision, None) for precision in precisions for case in (sequential, catalogue, towers, pooled)]
        jobs += [(case, precision, None) for precision in precisions for case in checks[:2]]
        jobs += [(case, "tf32x3", None) for case in odd]
        jobs += [(c, p, cuts) for p in precisions[:3] for cuts in cuts_to_try(p, 128) for c in (sequential, catalogue)]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(14, mp_context=context) as workers:  # the compiler has one thread
            running = [workers.submit(compile_one, *job) for job in jobs]

            def compiled() -> list[Any]:
                states = []
                for future in running:
                    remaining = max(arguments.seconds * 0.45 - (perf_counter() - START), 0.1)
                    try:
                        states.append(round(future.result(timeout=remaining), 1))
                    except Exception as error:
                        states.append(f"{type(error).__name__}: {str(error)[:150]}")
                for future in running:
                    future.cancel()
                return states

            record.part("compiled", compiled)
    for precision in precisions:
        for case in checks:
            record.part("errors", lambda case=case, p=precision: errors(case, p, device))
    for case in odd:
        record.part("errors", lambda case=case: errors(case, "tf32x3", device))
    repeats = 20
    for case, label in ((sequential, "pool"), (pooled, "pools"), (towers, "towers"), (catalogue, "catalogue")):
        for precision in precisions:
            if precision == "ieee" and label != "pool":
                continue  # slow, and there to be looked at beside tf32x3
            again = 5 if label == "catalogue" else repeats

            def ours(case: Case = case, p: str = precision, again: int = again) -> Any:
                return measured(f"kernel {p}", case, 4, fused_step(case, p, device), device, again)

            record.part(label, ours)
        for precision in ("highest", "high") if cuda else ("highest",):

            def theirs(case: Case = case, p: str = precision, again: int = again, label: str = label) -> Any:
                torch.set_float32_matmul_precision(p)
                try:
                    graph = label != "catalogue"
                    return measured(f"torch {p}", case, 3, torch_step(case, device), device, again, graph)
                finally:
                    torch.set_float32_matmul_precision("highest")

            record.part(label, theirs)
    step = linear_cross_entropy_step(catalogue, device)
    if step is not None:
        record.part("catalogue", lambda: measured("linear_cross_entropy", catalogue, 4, step, device, 5, graph=False))
    step_rows = replace(catalogue, rows=sequential.rows)
    for precision in precisions[1:3]:

        def whole(p: str = precision) -> Any:
            return measured(f"kernel {p}", step_rows, 4, fused_step(step_rows, p, device), device, 3, graph=False)

        record.part("catalogue of a step", whole)
    for tried in range(6 if cuda else 1):
        for precision in precisions[:3]:
            cuts = cuts_to_try(precision, 128)[tried]
            for case in (sequential, catalogue):

                def times_of_parts(case: Case = case, p: str = precision, cuts: Tilings = cuts) -> Any:
                    halves = split_times(case, p, device, cuts)
                    return {"precision": p, "rows": case.rows, "pool": case.pool, **asdict(cuts), **halves}

                record.part("cuts", times_of_parts)
    print("done", flush=True)


def split_times(case: Case, precision: str, device: torch.device, cuts: Tilings) -> dict[str, Any]:
    """Milliseconds of the forward and of the backward pass alone."""
    query, vectors, offset, mask = case.tensors(device)
    leaves = (query.requires_grad_(), vectors.requires_grad_())
    grad = torch.full((case.rows,), 1.0 / case.rows, device=device)

    def forward() -> Tensor:
        return fused_logsumexp(*leaves, offset, mask, precision, cuts)[0]

    lse = forward()

    def backward() -> Any:
        return torch.autograd.grad(lse, leaves[1], grad, retain_graph=True)

    repeats = 3 if case.pool > 10_000 else 10
    forward_ms, backward_ms = (milliseconds(half, device, repeats, False) for half in (forward, backward))
    return {"forward_ms": forward_ms, "backward_ms": backward_ms}


if __name__ == "__main__":
    main()
