"""Positives per CPU second in training: this package's SASRec against RecBole's and RecTools', and its limit.

    uv run benchmarks/sequential_training.py [--repeats=5] [--profile]

ml-1m, one thread, one run. Width 64, two blocks, two heads, feed-forward 256 (RecTools fixes its own), length 50,
dropout 0.2 for all; each with its own batch: RecBole 2048 interactions, the others 128 users or windows of users. A
step is everything between two batches: loader, forward, backward, Adam. A positive is one (history, target) pair that
is trained on; both encoders train on the same pairs. Negatives: 256, shared by the batch in ours, drawn for every
position in RecTools.

The limit is arithmetic: the products of matrices that a step with this encoder and this pool cannot do without, forward
and backward, one after the other in the sizes at hand and with nothing in between; attention, whose products are small,
counts its operations (those below the diagonal) at the rate of the others. "Step alone" is ours without loader and
optimizer. Both are measured in turn, and ``--limit`` measures them alone and puts them into the stored result.

RecBole 1.2.1 switches autograd's anomaly detection on for the whole process when a sequential model is imported; this
package switches it off again. Ratios are to RecBole's SASRec without it; as shipped it is a line of its own.

RecTools runs in an environment of its own (peers/rectools_sasrec.py), in the same minutes, on the same torch.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from collections.abc import Callable
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
from own_stratum import endless
from recbole.utils import init_seed
from torch.profiler import ProfilerActivity, profile

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.markup import markdown_table
from recbole_logq.samplers import Pool, get_sampler

RESULT = Path(__file__).parent / "results" / "sequential_training.json"
PROFILES = Path(__file__).parent / "results" / "profiles"
PEER = Path(__file__).parent / "peers" / "rectools_sasrec.py"
OURS: dict[str, Any] = {"embedding_size": 64, "n_layers": 2, "n_heads": 2, "inner_size": 256, "dropout": 0.2} | {
    "positions": "learned",
}
THEIRS: dict[str, Any] = {"hidden_size": 64, "n_layers": 2, "n_heads": 2, "inner_size": 256, "loss_type": "CE"} | {
    "hidden_dropout_prob": 0.2,
    "attn_dropout_prob": 0.2,
    "train_neg_sample_args": None,
    "train_batch_size": 2048,
}
BASE = "RecBole SASRec, CE"
AS_SHIPPED = "RecBole SASRec, CE, with the anomaly detection it switches on"
LIMIT, ALONE = "limit: the products of matrices alone", "SASRecCorrectedLogQ, step alone"
SIZE, INNER, LAYERS, LENGTH, POOL = 64, 256, 2, 50, 256
PRODUCTS = [(SIZE, 3 * SIZE), (SIZE, SIZE), (SIZE, INNER), (INNER, SIZE)] * LAYERS + [(SIZE, POOL)]
"""Inner and outer size of each product that a position goes through."""
# Steps of one repeat: RecBole's take seconds each.
CANDIDATES = {
    BASE: ("SASRec", THEIRS, 1),
    AS_SHIPPED: ("SASRec", THEIRS, 1),
    "SASRecCorrectedLogQ": ("SASRecCorrectedLogQ", OURS, 15),
    "SASRecLogQ": ("SASRecLogQ", OURS, 15),
    "SASRecInBatch": ("SASRecInBatch", OURS, 15),
    "SASRecUniform": ("SASRecUniform", OURS, 15),
    "SASRecFullSoftmax": ("SASRecFullSoftmax", OURS, 10),
    "SASRecUniform, a pool of 256 for every position": ("SASRecUniform", OURS, 2),
}
OURS_FIRST = "SASRecCorrectedLogQ"
OWN_POOLS = "SASRecUniform, a pool of 256 for every position"


class OwnPools(get_sampler("uniform")):  # type: ignore[misc]
    """Uniform draws for every row, as most libraries have them: the price is measured, nobody is offered it."""

    def sample(self, positives: torch.Tensor, *, n_units: int | None = None) -> Pool:
        """``count`` columns of each row's own."""
        ids = torch.randint(1, self.n_items, (len(positives), self.count or 0), generator=self.generator)
        shared = super().sample(positives, n_units=n_units)
        return Pool(ids, "draws", torch.full_like(ids, -1), shared.log_q_of(ids), shared.law)


class Candidate:
    """A model ready to take steps."""

    def __init__(self, name: str, model: str, settings: dict[str, Any], steps: int) -> None:
        config = Config(model, "ml-1m", None, {**settings, "MAX_ITEM_LIST_LENGTH": 50, "show_progress": False})
        init_seed(config["seed"], True)
        data = create_dataset(config)
        parts = split_dataset(config, data)
        self.target = parts[0].iid_field
        self.batches = endless(create_loaders(config, data, parts)[0])
        self.model = config.model_class(config, parts[0]).train()
        if name == OWN_POOLS:
            self.model.sampler.__class__ = OwnPools
        own = hasattr(self.model, "after_step")
        self.optimizer = torch.optim.Adam(self.model.parameters(), lr=1e-3, fused=own or None)  # as each trainer has it
        self.steps = steps
        self.anomalies = name == AS_SHIPPED

    def step(self) -> int:
        """One step; gives its positives."""
        batch = next(self.batches)
        self.optimizer.zero_grad(set_to_none=True)
        self.model.calculate_loss(batch).backward()
        self.optimizer.step()
        return int((batch[self.target] > 0).sum())

    def measure(self) -> float:
        """Positives per CPU second over one repeat."""
        with torch.autograd.set_detect_anomaly(self.anomalies):
            start = process_time()
            positives = sum(self.step() for _ in range(self.steps))
            return positives / (process_time() - start)


class Limit:
    """The products alone, and our step without loader and optimizer, on batches made beforehand."""

    def __init__(self, candidate: Candidate) -> None:
        self.model = candidate.model
        self.batches = [next(candidate.batches) for _ in range(candidate.steps)]
        targets = [batch[candidate.target] for batch in self.batches]
        self.positives = sum(int((ids > 0).sum()) for ids in targets)
        self.tokens = [len(ids) for ids in targets]
        # Two products of 2 * d operations for each pair below the diagonal; five of them backward.
        pairs = sum(int((n * (n + 1) // 2).sum()) for n in (batch.packing.lengths for batch in self.batches))
        self.attention = LAYERS * pairs * 7 * 2 * SIZE
        self.products = sum(n * 3 * 2 * inner * outer for n in self.tokens for inner, outer in PRODUCTS)
        self.memory = torch.randn(3, max(self.tokens) * INNER)
        self.weights = {shape: torch.randn(shape) for shape in PRODUCTS}

    @property
    def megaflops(self) -> float:
        """Operations of a position, in millions."""
        return (self.products + self.attention) / self.positives / 1e6

    def measure_limit(self) -> float:
        """Positives per CPU second of nothing but products."""
        start = process_time()
        for n in self.tokens:
            for inner, outer in PRODUCTS:
                states, logits, gradient = (
                    self.memory[place, : n * width].view(n, width) for place, width in enumerate((inner, outer, inner))
                )
                weight = self.weights[inner, outer]
                torch.mm(states, weight, out=logits)
                torch.mm(logits, weight.T, out=gradient)
                torch.mm(states.T, logits)
        seconds = process_time() - start
        return self.positives / (seconds * (1 + self.attention / self.products))

    def measure_alone(self) -> float:
        """Positives per CPU second of our whole loss, forward and backward."""
        start = process_time()
        for batch in self.batches:
            self.model.zero_grad(set_to_none=True)
            self.model.calculate_loss(batch).backward()
        return self.positives / (process_time() - start)


def measure_limit(limit: Limit, repeats: int) -> dict[str, Any]:
    """Both in turn, a limit before and after each step, so that a drift of the machine touches all alike."""
    rates: dict[str, list[float]] = {LIMIT: [], ALONE: []}
    limit.measure_limit(), limit.measure_alone()  # warm-up
    for _ in range(repeats):
        rates[LIMIT].append(limit.measure_limit())
        rates[ALONE].append(limit.measure_alone())
    gigaflops = statistics.median(rates[LIMIT]) * limit.megaflops / 1e3
    return {"rates": rates, "megaflops": round(limit.megaflops, 3), "gigaflops": round(gigaflops, 1)}


def rectools(repeats: int) -> dict[str, Any]:
    """What the peer prints."""
    command = ["uv", "run", "--no-project", "--isolated", "--with", "rectools[torch]"]
    command += ["--with", f"torch=={torch.__version__.split('+')[0]}", "python", str(PEER)]
    process = subprocess.run(
        [*command, "datasets/ml-1m/ml-1m.inter", str(repeats)], stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(process.stdout.splitlines()[-1])
    return result


def write_profile() -> None:
    """Where a step of SASRecCorrectedLogQ spends its time, by operator."""
    candidate = Candidate("SASRecCorrectedLogQ", *CANDIDATES["SASRecCorrectedLogQ"])
    candidate.measure()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        candidate.measure()
    PROFILES.mkdir(exist_ok=True)
    text = profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=25, max_name_column_width=60)
    (PROFILES / "sequential_training-latest.txt").write_text(text, encoding="utf-8")
    print(text)


def main() -> None:
    """Measure in turn, so that a drift of the machine touches all alike; print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="write where a step spends its time, measure nothing")
    parser.add_argument(
        "--limit", action="store_true", help="measure the limit alone, and put it into the stored result"
    )
    parser.add_argument("--only", default="", help="of this package and RecBole, what contains this; nothing is stored")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if arguments.profile:
        write_profile()
        return
    if arguments.limit:
        stored = json.loads(RESULT.read_text(encoding="utf-8"))
        stored["limit"] = measure_limit(Limit(Candidate(OURS_FIRST, *CANDIDATES[OURS_FIRST])), arguments.repeats)
        RESULT.write_text(json.dumps(stored, indent=1) + "\n", encoding="utf-8")
        print(table())
        return
    candidates = {name: Candidate(name, *spec) for name, spec in CANDIDATES.items() if arguments.only in name}
    limit = Limit(Candidate(OURS_FIRST, *CANDIDATES[OURS_FIRST]))
    measures: dict[str, Callable[[], float]] = {
        ALONE: limit.measure_alone,
        **{name: candidate.measure for name, candidate in candidates.items()},
    }
    rates: dict[str, list[float]] = {name: [] for name in measures}
    for measure in measures.values():
        measure()  # warm-up
    for _ in range(arguments.repeats):
        for name, measure in measures.items():
            rates[name].append(measure())
    content = {"date": date.today().isoformat(), "repeats": arguments.repeats, "versions": versions()}
    if arguments.only:
        for name, values in rates.items():
            print(f"{name}: {statistics.median(values):,.0f}")
        return
    content["limit"] = measure_limit(limit, arguments.repeats)
    peer = rectools(arguments.repeats)
    content["versions"] |= {"rectools": peer["rectools"]}
    rates |= {f"RecTools SASRec, {loss}": values for loss, values in peer["rates"].items()}
    RESULT.write_text(json.dumps({**content, "rates": rates}, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurement."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))
    medians = {name: statistics.median(values) for name, values in stored["rates"].items()}
    limit = stored["limit"]
    rates = {name: statistics.median(values) for name, values in limit["rates"].items()}
    of_limit = rates[ALONE] / rates[LIMIT] / medians[ALONE]  # what a positive a second is of the limit
    head = ["who", "positives / CPU s, median", "lowest - highest", "x RecBole", "of the limit"]
    rows = []
    for name, median in sorted(medians.items(), key=lambda pair: pair[1]):
        span = f"{min(stored['rates'][name]):,.0f} - {max(stored['rates'][name]):,.0f}"
        share = f"{median * of_limit:.0%}"
        rows.append([name, f"{median:,.0f}", span, f"{median / medians[BASE]:.1f}", share])
    limit_line = (
        f"The limit: {limit['megaflops']:.2f} million operations a position, at the {limit['gigaflops']:,.0f} billion "
        f"a second that the products alone reached on one core; our step, measured in turn with them, reached "
        f"{rates[ALONE] / rates[LIMIT]:.0%} of it."
    )
    return f"{markdown_table(head, rows)}\n\n{limit_line}"


if __name__ == "__main__":
    sys.exit(main())
