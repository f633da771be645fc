"""What it would be worth, and cost, to score the items that a row likes best exactly, beside its own window.

    uv run benchmarks/trained_bias.py --train      # the models
    uv run benchmarks/top_stratum.py [--only=NAME] [--repeats=5]

An experiment, not a setting: each row of a training batch is scored for certain against 16 further items beside its own
window, chosen by

* `exact`: its best 16, by scoring the whole catalogue;
* `buckets`: the best 16 of the 256 items nearest to a random direction, the nearest to the row of as many mixtures of
  the batch's queries as SCE takes (2 sqrt(rows); Mezentsev et al., RecSys 2024);
* `neighbours`: the 16 items nearest to the one before the target, from a list of all items' neighbours.

Bias and spread are those of corrected logQ on in-batch columns, 64 rows, 48 pools; a step is loader, forward, backward
and Adam in CPU seconds of one thread, the ways taking turns. Lists of neighbours are made once an epoch; their share of
a step is measured apart.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import statistics
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
import trained_bias
from own_stratum import endless, seconds_of_steps
from torch import Tensor

from recbole_logq.experiment.machine_facts import versions
from recbole_logq.experiment.restore import restore_own
from recbole_logq.lab.checkpoint_subject import checkpoint_subject
from recbole_logq.lab.estimator import Estimator
from recbole_logq.lab.measure import measure
from recbole_logq.lab.strata import own_columns
from recbole_logq.lab.subject import Subject
from recbole_logq.losses import get_loss
from recbole_logq.losses.score_logsumexp import MASKED_SCORE
from recbole_logq.markup import markdown_table
from recbole_logq.models.rows import Rows
from recbole_logq.probability import TargetCounts
from recbole_logq.samplers import Exclusion, get_sampler

RESULT = Path(__file__).parent / "results" / "top_stratum.json"
MODELS = ("sports", "ml-1m")
TOP, BUCKET, ROWS, POOLS, STEPS = 16, 256, 64, 48, 4
CHOICES = ("exact", "buckets", "neighbours")
MORE = (256, 512, 1024)
"""Columns of a pool beside the own window alone: what the same time could buy."""


class Top:
    """Chooses further items for the rows of a batch.

    Args:
        network: A trained SASRec.
    """

    def __init__(self, network: Any) -> None:
        self.network = network
        self.inputs = torch.zeros(0, dtype=torch.int64)
        self.lists: Tensor | None = None
        self.generator = torch.Generator().manual_seed(0)

    def of(self, choice: str, rows: Rows) -> Tensor:
        """Ids, int64 `[rows, 16]`; the positive and the row's own items may be among them."""
        with torch.no_grad():
            query, items = self.network.scorer.query(rows.query), self.network.item_vectors(None)
            chosen: Tensor = getattr(self, f"_{choice}")(query, items)
        return chosen

    def _exact(self, query: Tensor, items: Tensor) -> Tensor:
        return torch.cat([(part @ items[1:].T).topk(TOP, dim=1).indices + 1 for part in query.split(512)])

    def _buckets(self, query: Tensor, items: Tensor) -> Tensor:
        n = math.ceil(2 * math.sqrt(len(query)))
        directions = torch.randn(n, len(query), generator=self.generator) @ query
        bucket = (directions @ items[1:].T).topk(min(BUCKET, len(items) - 1), dim=1, sorted=False).indices + 1
        nearest = (query @ torch.nn.functional.normalize(directions, dim=1).T).argmax(dim=1)
        chosen = torch.empty(len(query), TOP, dtype=torch.int64)
        for number in nearest.unique().tolist():
            rows = (nearest == number).nonzero().flatten()
            best = (query[rows] @ items[bucket[number]].T).topk(TOP, dim=1).indices
            chosen[rows] = bucket[number][best]
        return chosen

    def _neighbours(self, _: Tensor, items: Tensor) -> Tensor:
        if self.lists is None:
            self.lists = neighbour_lists(items)
        return self.lists[self.inputs]


def neighbour_lists(items: Tensor) -> Tensor:
    """The 16 items with the largest dot product with each item, itself not among them, int64 `[n_items, 16]`."""
    lists = []
    for first in range(0, len(items), 512):
        part = items[first : first + 512]
        scores = part @ items.T
        scores[:, 0] = -torch.inf
        scores[torch.arange(len(part)), torch.arange(first, first + len(part))] = -torch.inf
        lists.append(scores.topk(TOP, dim=1).indices)
    return torch.cat(lists)


def encoded(network: Any, batch: Any, top: Top) -> Rows:
    """The rows of a batch; the item before each target is remembered."""
    rows: Rows = type(network).rows(network, batch)
    before = batch[network.ITEM_SEQ]
    top.inputs = before if batch.real is None else before[batch.real]
    return rows


def worth(restored: Any) -> list[dict[str, Any]]:
    """Bias and spread of a model's rows with each choice, and what of their best 16 items it holds."""
    network, loader = restored.network.eval(), restored.loaders[0]
    subject, top = checkpoint_subject(restored, ROWS), Top(network)
    network.own = "window"
    loader.generator.manual_seed(5)
    loader.start_epoch()
    with torch.no_grad():
        rows = encoded(network, next(iter(loader)), top)
        own = network.own_items(rows)
        items = network.item_vectors(None)[1:].double()
        sample = torch.randperm(len(rows.positives), generator=torch.Generator().manual_seed(0))[:ROWS]
        scores = network.scorer.query(rows.query[sample]).double() @ items.T
    assert rows.users is not None
    subject = replace(subject, scores=scores, positives=rows.positives[sample], users=rows.users[sample], inside=None)
    of_window = own_columns(own.of(sample), subject.positives, scores.shape[1])
    free = ~of_window.scatter(1, subject.positives.unsqueeze(1) - 1, True)
    best = torch.zeros_like(free).scatter_(1, scores.masked_fill(~free, -torch.inf).topk(TOP, dim=1).indices, True)
    ideal = scores.softmax(dim=1) * best
    results = []
    for choice in ("none", *CHOICES):
        columns = torch.zeros_like(free)
        if choice == "exact":  # of what is left beside the window
            columns = best
        elif choice != "none":
            columns = columns.scatter(1, top.of(choice, rows)[sample] - 1, True) & free
        mass = float((ideal * columns).sum() / ideal.sum())
        for n in (256,) if choice != "none" else MORE:
            measured = with_certain(subject, of_window | columns, n)
            counted = float(columns.sum(1).double().mean())
            results.append({"choice": choice, "n": n, "items": counted, "found": mass, **measured})
    return results


def with_certain(subject: Subject, held: Tensor, n: int) -> dict[str, float]:
    """Bias and spread where `held` (bool `[rows, items]`) is scored for certain."""
    held = held.scatter(1, subject.positives.unsqueeze(1) - 1, True)
    row, column = held.nonzero().unbind(1)
    windows = Exclusion(torch.arange(len(held)), row, column + 1, len(held))
    measured = measure(Estimator.parse("CorrectedLogQ:own=window"), replace(subject, windows=windows), n, POOLS)
    return {"bias": measured.bias, "bias_error": measured.bias_error, "spread": measured.spread}


class Stepper:
    """A model that takes training steps in one way, on batches that all ways share."""

    def __init__(self, restored: Any, choice: str, n: int) -> None:
        self.network = restored.network.train()
        self.loader, self.choice, self.top = restored.loaders[0], choice, Top(self.network)
        network = self.network
        counts = network.target_counts.cpu()
        if choice == "full softmax":
            network.loss, network.sampler = get_loss("full_softmax"), get_sampler("catalogue")(
                TargetCounts(counts), count=None, seed=0
            )  # fmt: skip
            network.own, network.hits = None, network.loss.hits
        else:
            network.own = "window"
            network.sampler = get_sampler("in_batch")(TargetCounts(counts), count=n, seed=0)
        if choice in CHOICES:
            self._own_items, self._certain = network.own_items, network._certain
            network.own_items, network._certain = self.own_items, self.certain
            network.rows = self.rows
            if choice == "neighbours":
                self.top.lists = neighbour_lists(network.item_vectors(None).detach())
        self.optimizer = torch.optim.Adam(network.parameters(), fused=True)
        self.batches = endless(self.loader)

    def rows(self, batch: Any) -> Rows:
        """The rows of a batch."""
        return encoded(self.network, batch, self.top)

    def own_items(self, rows: Rows) -> Exclusion:
        """Own and chosen items of every row, each row a set by itself."""
        base = self._own_items(rows)
        self.ids = self.top.of(self.choice, rows)
        self.base, self.taken = base, base.holds(self.ids)
        all_rows = torch.arange(len(rows.positives))
        row, item = base.of_rows(0, len(all_rows))
        if base.repeated is not None:
            keys = (row * self.network.n_items + item).unique()
            row, item = keys // self.network.n_items, keys % self.network.n_items
        new = ~self.taken
        keys = torch.cat(
            [row * self.network.n_items + item, (all_rows.unsqueeze(1) * self.network.n_items + self.ids)[new]]
        )
        keys = keys.sort().values
        return Exclusion(all_rows, keys // self.network.n_items, keys % self.network.n_items, len(all_rows))

    def certain(self, rows: Rows, _: Exclusion) -> Tensor:
        """logsumexp of the own window's scores and of the chosen items'."""
        query, vectors = self.network.scorer.query(rows.query), self.network.item_vectors(self.ids)
        scores = torch.bmm(vectors, query.unsqueeze(2)).squeeze(2).masked_fill(self.taken, MASKED_SCORE)
        return torch.logaddexp(self._certain(rows, self.base), scores.logsumexp(1))

    def steps(self) -> float:
        """CPU seconds of a step, over some."""
        return seconds_of_steps(self.network, self.optimizer, self.batches, STEPS) / STEPS


def cost(open_model: Callable[[], Any], repeats: int) -> dict[str, Any]:
    """Milliseconds of a step in each way, as medians, and ratios to the own window alone."""
    ways = [("none", n) for n in MORE] + [(choice, 256) for choice in CHOICES] + [("full softmax", 0)]
    steppers = {way: Stepper(open_model(), *way) for way in ways}
    for stepper in steppers.values():
        stepper.steps()
    seconds: dict[tuple[str, int], list[float]] = {way: [] for way in ways}
    for _ in range(repeats):
        for way, stepper in steppers.items():
            seconds[way].append(stepper.steps())
    first = steppers[ways[0]]
    start = process_time()
    neighbour_lists(first.network.item_vectors(None).detach())
    lists = (process_time() - start) / max(first.loader.steps_per_epoch, 1)
    base = seconds[ways[0]]
    return {
        "ways": [
            {
                "choice": choice,
                "n": n,
                "ms": 1000 * statistics.median(values),
                "ratio": statistics.median(a / b for a, b in zip(values, base, strict=True)),
            }
            for (choice, n), values in seconds.items()
        ],
        "lists_ms_a_step": 1000 * lists,
    }


def table() -> str:
    """Worth and cost of every way, by model."""
    if not RESULT.is_file():
        return "Not measured yet."
    report = json.loads(RESULT.read_text(encoding="utf-8"))
    head = ["model", "certain beside the own window", "n", "of the best 16", "bias", "std", "step"]
    lines = []
    for name, model in report["models"].items():
        measured = model.get("cost", {"ways": []})["ways"]
        ratios = {(way["choice"], way["n"]): f"{way['ratio']:.2f}" for way in measured}
        for row in model["worth"]:
            lines.append(
                [
                    name,
                    row["choice"],
                    f"{row['n']:,}",
                    f"{row['found']:.2f}",
                    f"{row['bias']:.3f}",
                    f"{row['spread']:.3f}",
                    ratios.get((row["choice"], row["n"]), "-"),
                ]
            )
        lines.append([name, "all: the full softmax", "-", "1.00", "0", "0", ratios.get(("full softmax", 0), "-")])
    return markdown_table(head, lines)


def main() -> None:
    """Measure, store and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="models in whose name this regular expression is found")
    parser.add_argument("--repeats", type=int, default=5, help="of the steps; 0 leaves their cost out")
    parser.add_argument("--table", action="store_true", help="run nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    if not arguments.table:
        for name in MODELS:
            if not re.search(arguments.only, name):
                continue
            checkpoint = trained_bias.trained(name)

            def open_model(checkpoint: str = checkpoint) -> Any:
                return restore_own(checkpoint, state="WARNING", show_progress=False)

            entry = {"worth": worth(open_model())}
            if arguments.repeats:
                entry["cost"] = cost(open_model, arguments.repeats)
            report = json.loads(RESULT.read_text(encoding="utf-8")) if RESULT.is_file() else {"models": {}}
            report["models"][name] = report["models"].get(name, {}) | entry
            report |= {"date": date.today().isoformat(), "versions": versions(), "repeats": arguments.repeats}
            RESULT.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
    print(table())


if __name__ == "__main__":
    main()
