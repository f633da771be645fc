"""Cold start on ml-1m: a tenth of the items leave training altogether, and are ranked by what the item file says.

    uv run benchmarks/cold_start.py                  # all runs that are missing, then the table
    uv run benchmarks/cold_start.py --only=history   # runs whose name contains "history"
    uv run benchmarks/cold_start.py --table          # only the table of what is stored

The seed draws a tenth of the items that have at least 20 interactions. The dataset that is trained on has none of their
interactions, but their rows of the .item file, so they have ids. It is split leave-one-out in exact time order, and its
validation part, which knows no held-out item either, chooses the epoch. The test is every user's interactions with
held-out items, ranked among the held-out items alone, and among the whole catalogue without what else the user had.
"warm" is the ordinary test of the same model, on items that are not held out. A history that is pooled is the latest
items of all that a user has left.

One thread, recipe CorrectedLogQ, at most 60 CPU seconds of training a run.
"""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import torch
from recbole.data.interaction import Interaction
from stored_runs import Experiment, spread
from torch import Tensor

from recbole_logq.config import Config
from recbole_logq.data.dataset.histories import HISTORY, last_items, max_history
from recbole_logq.data.source.known_datasets import ensure_dataset
from recbole_logq.evaluation.measures import per_user
from recbole_logq.evaluation.top_k import Catalogue
from recbole_logq.experiment.restore import open_checkpoint
from recbole_logq.markup import markdown_table

DATA = Path("datasets")
SHARE, MIN_INTERACTIONS, CUTOFF = 0.1, 20, 10
# The copy of ml-1m whose item ids are titles types lists of words as one token, and codes as numbers.
TYPES = {"genre:token": "genre:token_seq", "movie_title:token": "movie_title:token_seq"}
TYPES |= {"age:float": "age:token", "occupation:float": "occupation:token"}
HELD_OUT = "held_out.tsv"


def held_out_dataset(seed: int) -> str:
    """Write ml-1m without a tenth of its items' interactions, and those beside it; gives its name."""
    name = f"ml-1m-cold-{seed}"
    folder, source = DATA / name, DATA / "ml-1m"
    if (folder / HELD_OUT).exists():
        return name
    ensure_dataset("ml-1m", DATA)
    folder.mkdir(parents=True, exist_ok=True)
    head, *rows = (source / "ml-1m.inter").read_text(encoding="utf-8").splitlines()
    count = Counter(row.split("\t")[1] for row in rows)
    often = sorted(item for item, times in count.items() if times >= MIN_INTERACTIONS)
    held_out = set(random.Random(seed).sample(often, round(SHARE * len(often))))
    parts: dict[bool, list[str]] = {False: [head], True: [head]}
    for row in rows:
        parts[row.split("\t")[1] in held_out].append(row)
    for suffix in ("user", "item"):
        head, *features = (source / f"ml-1m.{suffix}").read_text(encoding="utf-8").splitlines()
        head = "\t".join(TYPES.get(column, column) for column in head.split("\t"))
        (folder / f"{name}.{suffix}").write_text("\n".join([head, *features]) + "\n", encoding="utf-8")
    (folder / f"{name}.inter").write_text("\n".join(parts[False]) + "\n", encoding="utf-8")
    (folder / HELD_OUT).write_text("\n".join(parts[True]) + "\n", encoding="utf-8")
    return name


@torch.no_grad()
def cold(result: dict[str, Any]) -> dict[str, Any]:
    """Rankings of the held-out items, and what a random ranking among them would give."""
    config = Config(result["model"], result["dataset"], None, result["given"])
    restored = open_checkpoint(result["checkpoint"]).restore(config)
    model, data = restored.network.eval(), restored.parts[0]
    lines = (DATA / result["dataset"] / HELD_OUT).read_text(encoding="utf-8").splitlines()[1:]
    pairs = [line.split("\t")[:2] for line in lines]
    users = torch.tensor([data.field2token_id[data.uid_field].get(user, 0) for user, _ in pairs])
    items = torch.tensor([data.field2token_id[data.iid_field][item] for _, item in pairs])
    users, items = users[users > 0], items[users > 0]  # a user may have nothing else
    rows, target_rows = users.unique(return_inverse=True)
    start, end = (torch.searchsorted(data.flat_users, rows, right=right) for right in (False, True))
    columns = {data.uid_field: rows, HISTORY: last_items(data.flat_items, start, end, max_history(config) or 1)}
    query, vectors = model.queries(Interaction(columns)), model.all_items()
    candidates = items.unique()
    among = (query @ vectors[candidates].T).topk(CUTOFF).indices
    row_of = torch.searchsorted(rows, data.flat_users).clamp_max(len(rows) - 1)
    known = rows[row_of] == data.flat_users
    whole = Catalogue(vectors).top_k(query, CUTOFF, (row_of[known], data.flat_items[known])).items
    targets = torch.zeros(len(rows), len(vectors), dtype=torch.bool)
    targets[target_rows, items] = True
    discount = 1 / torch.arange(2.0, CUTOFF + 2).log2()
    n_targets = targets.sum(1)
    ideal = discount.cumsum(0)[n_targets.clamp_max(CUTOFF) - 1]
    random_ndcg = (discount.sum() * n_targets / len(candidates) / ideal).mean()
    return {
        "held_out": {"items": len(candidates), "users": len(rows), "interactions": len(items)},
        "among_held_out": _metrics(candidates[among], targets),
        "whole_catalogue": _metrics(whole, targets),
        "random": {"recall": CUTOFF / len(candidates), "ndcg": float(random_ndcg)},
    }


def _metrics(ranked: Tensor, targets: Tensor) -> dict[str, float]:
    hits = torch.cat([targets.gather(1, ranked).long(), targets.sum(1, keepdim=True)], dim=1)
    values = per_user(ranked, hits, CUTOFF)
    return {name: round(float(values[name].double().mean()), 5) for name in ("recall", "ndcg")}


class ColdStart(Experiment):
    """Every seed has held-out items of its own."""

    def _train(self, name: str, seed: int) -> None:
        self.dataset = held_out_dataset(seed)
        super()._train(name, seed)


ITEM = {"item_features": ["genre", "release_year", "movie_title"]}
DROPOUT = {"id_dropout": 0.2}
HISTORY_USERS = {"user_tower": "history"}
ENTRIES: dict[str, dict[str, Any]] = {
    "ids": {},
    "ids-and-features": ITEM,
    "ids-and-features-dropout": ITEM | DROPOUT,
    "features": ITEM | {"use_item_id": False},
    "history-ids": HISTORY_USERS,
    "history-ids-and-features-dropout": HISTORY_USERS | ITEM | DROPOUT,
}
EXPERIMENT = ColdStart(
    "cold_start",
    "ml-1m",
    {
        name: {"model": "TwoTowerCorrectedLogQ", "seeds": [1, 2, 3], "settings": settings}
        for name, settings in ENTRIES.items()
    },
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        # The same files for all, so that all rank the same items.
        "load_col": {"inter": ["user_id", "item_id", "timestamp"], "item": ["item_id"]},
        "metrics": ["Recall", "NDCG"],
        "topk": [CUTOFF],
        "valid_metric": "NDCG@10",
        "show_progress": False,
        "epochs": 1000,
        "stopping_step": 3,
        "learning_rate": 0.003,
        "max_train_cpu_seconds": 60.0,
    },
    cold,
)


def table() -> str:
    """Recall and NDCG at 10, mean and standard deviation over seeds."""
    headings = {"among_held_out": "held-out items alone", "whole_catalogue": "whole catalogue"}
    heads = [f"{title}, {metric}@10" for title in headings.values() for metric in ("Recall", "NDCG")]

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        figures = [spread([run[part][metric] for run in runs]) for part in headings for metric in ("recall", "ndcg")]
        return [*figures, spread([run["test_result"]["ndcg@10"] for run in runs])]

    rows = EXPERIMENT.rows(cells)
    if floor := [run["random"] for run in EXPERIMENT.stored("ids")]:
        chance = [f"{sum(run[metric] for run in floor) / len(floor):.4f}" for metric in ("recall", "ndcg")]
        rows.insert(0, ["a random ranking, expected", "", *chance, "", "", ""])
    return markdown_table(["run", "seeds", *heads, "warm NDCG@10"], rows)


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
