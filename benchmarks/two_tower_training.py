"""Training steps of TwoTowerCorrectedLogQ against the same model written plainly in torch.

    uv run benchmarks/two_tower_training.py [--repeats=5] [--profile]

ml-1m, one thread, the model's defaults: 64 dimensions, cosine over a temperature of 0.2, 2,048 interactions a step,
256 in-batch negatives. A step is everything between two batches: loader, forward, backward, Adam; ours is the trainer's
own, with its statistics and its watch for losses that are no numbers. The peer (``Plain`` below) has the same loss on
batches of the same size, and nothing else; it is measured with torch's Adam as one gets it and with the fused one.
Before anything is measured, both make a step from the same weights with the same negatives, and loss and gradients must
agree. The candidates take turns step by step, so that another program's load is shared alike.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import torch
from recbole.utils import init_seed
from torch import Tensor, nn
from torch.nn import functional
from torch.profiler import ProfilerActivity, profile

from recbole_logq.config import Config
from recbole_logq.data.prepare import create_dataset, create_loaders, split_dataset
from recbole_logq.experiment.run import versions
from recbole_logq.markup import markdown_table
from recbole_logq.training.create import create_trainer

RESULT = Path(__file__).parent / "results" / "two_tower_training.json"
OURS, FUSED, LOOPED = "TwoTowerCorrectedLogQ", "plain torch, fused Adam", "plain torch, Adam as one gets it"
STEPS = 40
"""Steps of one repeat."""


class Plain(nn.Module):
    """The model as one would write it: corrected logQ of in-batch negatives, accidental hits masked."""

    def __init__(self, model: Any, temperature: float, negatives: int) -> None:
        super().__init__()
        self.users = nn.Embedding.from_pretrained(
            model.user_tower.embedding.weight.detach().clone(), freeze=False, padding_idx=0
        )
        self.items = nn.Embedding.from_pretrained(
            model.item_tower.embedding.weight.detach().clone(), freeze=False, padding_idx=0
        )
        self.temperature, self.negatives = temperature, negatives
        self.log_q = model.sampler.log_frequency
        self.generator = torch.Generator()

    def forward(self, users: Tensor, items: Tensor) -> Tensor:
        """The loss of a batch."""
        query = functional.normalize(self.users(users), dim=1) / self.temperature  # [rows, d]
        vectors = functional.normalize(self.items(items), dim=1)  # [rows, d]
        chosen = torch.randperm(len(items), generator=self.generator)[: self.negatives]
        ids = items[chosen]  # [pool]
        valid = ids != items.unsqueeze(1)  # [rows, pool]
        logits = (query @ vectors[chosen].T - self.log_q[ids]).masked_fill(~valid, -torch.inf)
        log_z = logits.logsumexp(1) + torch.log1p(-self.log_q[items].exp()) - valid.sum(1).log()
        return functional.softplus(log_z - (query * vectors).sum(1)).mean()


class Candidate:
    """Something that takes steps, epoch after epoch."""

    def __init__(self, batches: Callable[[], Iterator[Any]], step: Callable[[Any], Any]) -> None:
        self.batches, self.step = self._endless(batches), step

    @staticmethod
    def _endless(batches: Callable[[], Iterator[Any]]) -> Iterator[Any]:
        while True:
            yield from batches()

    def measure(self) -> float:
        """CPU milliseconds of one step, its batch included."""
        start = process_time()
        self.step(next(self.batches))
        return (process_time() - start) * 1000


def prepare() -> dict[str, Candidate]:
    """All candidates, on the same data from the same weights."""
    config = Config("TwoTowerCorrectedLogQ", "ml-1m", None, {"show_progress": False})
    init_seed(config["seed"], True)
    dataset = create_dataset(config)
    parts = split_dataset(config, dataset)
    loader = create_loaders(config, dataset, parts)[0]
    trainer = create_trainer(config, config.model_class(config, parts[0]).train())
    scaler, schedule = torch.amp.GradScaler("cpu", enabled=False), trainer._get_schedule(len(loader))
    candidates = {OURS: Candidate(lambda: iter(loader), lambda batch: trainer._train_batch(batch, scaler, schedule))}
    users, items = (parts[0].inter_feat[field] for field in (dataset.uid_field, dataset.iid_field))
    for name in (FUSED, LOOPED):
        candidates[name] = plain(trainer.model, config, users, items, name == FUSED)
    return candidates


def plain(model: Any, config: Any, users: Tensor, items: Tensor, fused: bool) -> Candidate:
    """The peer, once its loss and gradients agree with ours."""
    peer = Plain(model, config["temperature"], config["negatives"]["count"])
    agree(model, peer, users[: config["train_batch_size"]], items[: config["train_batch_size"]])
    optimizer = torch.optim.Adam(peer.parameters(), lr=config["learning_rate"], fused=fused or None)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        for rows in torch.randperm(len(users), generator=peer.generator).split(config["train_batch_size"]):
            yield users[rows], items[rows]

    def step(batch: tuple[Tensor, Tensor]) -> float:
        optimizer.zero_grad(set_to_none=True)
        loss = peer(*batch)
        loss.backward()
        optimizer.step()
        return loss.item()

    return Candidate(batches, step)


def agree(model: Any, peer: Plain, users: Tensor, items: Tensor) -> None:
    """Make a step of both with the same pool."""
    state = model.sampler.generator.get_state()
    peer.generator.set_state(state)
    ours, theirs = model.calculate_loss({model.USER_ID: users, model.ITEM_ID: items}), peer(users, items)
    model.sampler.generator.set_state(state)
    tables = (model.user_tower.embedding.weight, model.item_tower.embedding.weight)
    torch.testing.assert_close(ours, theirs)
    for own, peers in zip(
        torch.autograd.grad(ours, tables),
        torch.autograd.grad(theirs, (peer.users.weight, peer.items.weight)),
        strict=True,
    ):
        torch.testing.assert_close(own, peers)


def in_turn(candidates: dict[str, Candidate]) -> dict[str, float]:
    """Median CPU milliseconds of a step, of one repeat."""
    speeds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(STEPS):
        for name, candidate in candidates.items():
            speeds[name].append(candidate.measure())
    return {name: round(statistics.median(values), 3) for name, values in speeds.items()}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="print where a step spends its time, measure nothing")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    candidates = prepare()
    in_turn(candidates)  # warm-up
    if arguments.profile:
        for name, candidate in list(candidates.items())[:2]:
            with profile(activities=[ProfilerActivity.CPU]) as profiler:
                for _ in range(STEPS):
                    candidate.measure()
            print(name, profiler.key_averages().table(sort_by="self_cpu_time_total", row_limit=30), sep="\n")
        return
    milliseconds: dict[str, list[float]] = {name: [] for name in candidates}
    for _ in range(arguments.repeats):
        for name, value in in_turn(candidates).items():
            milliseconds[name].append(value)
    content = {"date": date.today().isoformat(), "repeats": arguments.repeats, "versions": versions()}
    RESULT.write_text(json.dumps({**content, "milliseconds": milliseconds}, indent=1) + "\n", encoding="utf-8")
    print(table())


def table() -> str:
    """The stored measurement."""
    stored = json.loads(RESULT.read_text(encoding="utf-8"))["milliseconds"]
    rows = []
    base = statistics.median(stored[FUSED])
    for name, values in stored.items():
        median = statistics.median(values)
        rows.append([name, f"{median:.2f}", f"{min(values):.2f} - {max(values):.2f}", f"{base / median:.0%}"])
    head = ["who", "CPU ms a step, median", "lowest - highest", "speed, plain with fused Adam = 100 %"]
    return markdown_table(head, rows)


if __name__ == "__main__":
    main()
