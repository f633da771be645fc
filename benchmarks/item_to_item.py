"""Items like an item on ml-1m: does the next item of a user stand among those like the last one?

    uv run benchmarks/item_to_item.py               # all models that are missing and the baselines, then the table
    uv run benchmarks/item_to_item.py --only=ids    # one of them
    uv run benchmarks/item_to_item.py --show        # what the command prints of the first model
    uv run benchmarks/item_to_item.py --table       # only the table of what is stored

Leave-one-out in exact time order. For every test user the query is the last item before the target, which is the
validation item; the list is all other items by their score beside it, best first, without what the user had; recall@k
is the share of users whose target is among the first k. Two-tower models are trained for at most 25 CPU seconds on one
thread, three seeds each, and exported with the histories of training; ``Retriever.similar`` makes their lists, exactly,
by item vectors and by co-query vectors. The user's own query, which knows more than one item, stands beside them.
Baselines know training alone and have no seed: RecBole's ItemKNN (cosine of the users who had two items, no shrinkage,
all neighbours), how often training has b as the item right after a, and how often training has b at all.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import torch
from recbole.model.general_recommender.itemknn import ComputeSimilarity
from recbole.utils import init_seed
from stored_runs import Experiment, mean_and_interval, prints
from torch import Tensor

from recbole_logq import compat
from recbole_logq.config import Config
from recbole_logq.data.dataset.fingerprint import split_fingerprint
from recbole_logq.data.prepare import create_dataset, split_dataset
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.experiment.restore import restore_own
from recbole_logq.files import write_json
from recbole_logq.markup import markdown_table
from recbole_logq.serving import Retriever
from recbole_logq.serving.dataset_tables import user_histories
from recbole_logq.serving.export import export

CUTOFFS = (10, 100)
ROOT = Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "results" / "item_to_item"
BASELINES, COMMANDS = RESULTS / "baselines.json", RESULTS / "commands.json"
ASKED = ('--items="Alien (1979)" --k=5', '--items="Alien (1979)" --by=queries --k=5', '--items="Alien (1979)" --k=3706')
PROTOCOL: dict[str, Any] = {
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
    "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
}


def questions(parts: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """For each test user the query item and the target, and what all users had as pairs of a row and an item."""
    offsets, history, _ = (
        None if column is None else torch.as_tensor(column) for column in user_histories(parts, "valid")
    )
    test = parts[2].inter_feat
    users, targets = test[parts[0].uid_field], test[parts[0].iid_field]
    end, start = offsets[users], offsets[users - 1]
    size = end - start
    rows = torch.arange(len(users)).repeat_interleave(size)
    place = torch.arange(int(size.sum())) - (size.cumsum(0) - size - start).repeat_interleave(size)
    return history[end - 1].long(), targets, rows, history[place].long()


def recalls(order: Tensor, lists: Tensor, requests: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, float]:
    """Recall of the targets.

    Args:
        order: Items of each list, best first, int64 ``[lists, items]``.
        lists: List of each row, int64 ``[rows]``.
        requests: Result of :func:`questions`.
    """
    _, targets, rows, history = requests
    n_items = int(order.max())
    place = torch.full((len(order), n_items + 1), n_items)
    place.scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))
    rank = place[lists, targets]
    before = (place[lists[rows], history] < rank[rows]).long()  # what the user had is no part of the list
    rank = rank - torch.zeros_like(rank).index_add_(0, rows, before)
    return {f"recall@{k}": round(float((rank < k).double().mean()), 5) for k in CUTOFFS}


def of_model(result: dict[str, Any]) -> dict[str, Any]:
    """Recall by item vectors and by co-query vectors."""
    parts = restore_own(result["checkpoint"]).parts
    requests = questions(parts)
    distinct, lists = requests[0].unique(return_inverse=True)
    tokens = parts[0].field2id_token[parts[0].iid_field]
    measured: dict[str, Any] = {"users": len(requests[1])}
    with tempfile.TemporaryDirectory() as folder:
        export(result["checkpoint"], Path(folder) / "export", history="train")
        retriever = Retriever.load(Path(folder) / "export")
        known = set(torch.from_numpy(np.unique(retriever._history.numpy())).tolist())
        able = torch.tensor([item in known for item in distinct.tolist()])
        for by in ("items", "queries"):
            # An item that training has nowhere has no co-query vector: its users' targets are not found.
            chosen = distinct if by == "items" else distinct[able]
            order = torch.zeros(len(distinct), len(retriever.catalogue) - 1, dtype=torch.int64)
            similar = retriever.similar([str(tokens[item]) for item in chosen], k=order.shape[1], by=by)
            order[torch.isin(distinct, chosen)] = torch.from_numpy(similar.ids)
            measured[by] = recalls(order, lists, requests)
        measured["without_co_query"] = int((~able)[lists].sum())
        measured["similarity"] = retriever.similarity
    return {"item_to_item": measured}


def measure_baselines() -> None:
    """ItemKNN, co-visitation and popularity, from the training part."""
    compat.apply()
    config = Config(
        "BPR", "ml-1m", None, {**PROTOCOL, "metrics": ["Recall"], "topk": [10], "valid_metric": "Recall@10"}
    )
    init_seed(config["seed"], config["reproducibility"])
    parts = split_dataset(config, create_dataset(config))
    train, requests = parts[0], questions(parts)
    distinct, lists = requests[0].unique(return_inverse=True)
    n_items = train.item_num

    def ordered(scores: Tensor) -> Tensor:
        scores = scores.clone()
        scores[torch.arange(len(distinct)), distinct] = -torch.inf  # an item is not like itself
        scores[:, 0] = -torch.inf
        return scores.argsort(dim=1, descending=True, stable=True)[:, : n_items - 2]

    matrix = train.inter_matrix(form="csr").astype(np.float32)
    weights = ComputeSimilarity(matrix, topk=n_items).compute_similarity()[1]
    knn = torch.from_numpy(weights.toarray())[distinct]
    offsets, history, _ = user_histories(parts, "train")
    first = np.zeros(len(history), dtype=bool)
    first[offsets[:-1][offsets[:-1] < len(history)]] = True
    after = ~first[1:]
    pairs = torch.from_numpy(history[:-1].astype(np.int64)[after] * n_items + history[1:].astype(np.int64)[after])
    counts = torch.bincount(pairs, minlength=n_items**2).view(n_items, n_items).float()
    popular = torch.bincount(torch.from_numpy(history.astype(np.int64)), minlength=n_items).float()
    recall = {
        "ItemKNN": recalls(ordered(knn), lists, requests),
        "next item": recalls(ordered(counts[distinct]), lists, requests),
        "popular": recalls(ordered(popular.expand(len(distinct), -1)), lists, requests),
    }
    facts = {"users": len(requests[1]), "fingerprint": split_fingerprint(parts), "dataset": "ml-1m"}
    write_json(BASELINES, {**facts, "date": date.today().isoformat(), "versions": versions(), "recall": recall})


def show_commands() -> None:
    """Run the command on the first model, and keep what it prints."""
    (file,) = (
        file for file in sorted((ROOT / "saved" / "item_to_item" / "ids-1").glob("*.pth")) if "-last" not in file.stem
    )
    outputs = []
    for words in ASKED:
        command = f"recommend --model={file.relative_to(ROOT)} {words}"
        process = subprocess.run(
            [sys.executable, "run_recbole_logq.py", *shlex.split(command)],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "100"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        lines = [line.rstrip() for line in process.stdout.splitlines() if "INFO" not in line]
        outputs.append({"command": f"uv run run_recbole_logq.py {command}", "lines": lines})
    write_json(COMMANDS, {"date": date.today().isoformat(), "versions": versions(), "shown": outputs})


def commands() -> str:
    """The commands and what they printed, as a block of Markdown."""
    if not COMMANDS.is_file():
        return "Not run yet."
    lines: list[str] = []
    for output in json.loads(COMMANDS.read_text(encoding="utf-8"))["shown"]:
        lines += [*([""] if lines else []), f"$ {output['command']}", *output["lines"]]
    return "\n".join(["```console", *lines, "```"])


TOWERS: dict[str, dict[str, Any]] = {"ids": {}, "history": {"user_tower": "history"}}
EXPERIMENT = Experiment(
    "item_to_item",
    "ml-1m",
    {
        name: {"model": "TwoTowerCorrectedLogQ", "seeds": [1, 2, 3], "settings": {"learning_rate": 0.003, **settings}}
        for name, settings in TOWERS.items()
    },
    {
        **PROTOCOL,
        "metrics": ["Recall", "NDCG"],
        "topk": list(CUTOFFS),
        "valid_metric": "NDCG@10",
        "show_progress": False,
        "epochs": 1000,
        "stopping_step": 3,
        "max_train_cpu_seconds": 25.0,
    },
    of_model,
)


def table() -> str:
    """Recall of the next item among those like the last one."""
    head = ["what ranks", "seeds", *(f"Recall@{k}" for k in CUTOFFS), "test split"]
    lines: list[list[str]] = []
    for name in TOWERS:
        if runs := EXPERIMENT.stored(name):
            seeds = ", ".join(str(run["seed"]) for run in runs)
            for by in ("items", "queries"):
                cells = [mean_and_interval([run["item_to_item"][by][f"recall@{k}"] for run in runs]) for k in CUTOFFS]
                lines.append([f"two towers, `{name}`: `--by={by}`", seeds, *cells, prints(runs)])
            cells = [mean_and_interval([run["test_result"][f"recall@{k}"] for run in runs]) for k in CUTOFFS]
            lines.append([f"two towers, `{name}`: the user's own query", seeds, *cells, prints(runs)])
    if BASELINES.is_file():
        stored = json.loads(BASELINES.read_text(encoding="utf-8"))
        split = f"`{stored['fingerprint']['test']}`"
        names = {"ItemKNN": "ItemKNN", "next item": "next item of training", "popular": "popularity"}
        for name, label in names.items():
            lines.append([label, "-", *(f"{stored['recall'][name][f'recall@{k}']:.4f}" for k in CUTOFFS), split])
    return markdown_table(head, lines)


if __name__ == "__main__":
    if "--show" in sys.argv:
        sys.argv[sys.argv.index("--show")] = "--table"
        show_commands()
    if not BASELINES.is_file() and not {"--table", "--help", "-h"} & set(sys.argv):
        measure_baselines()
    EXPERIMENT.main(__doc__ or "", table)
