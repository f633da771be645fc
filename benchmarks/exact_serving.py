"""Exact search in an exported folder against the evaluator's ranking on ml-1m: the best ten of every test user.

    uv run benchmarks/exact_serving.py               # all models that are missing, then the table
    uv run benchmarks/exact_serving.py --only=sasrec # one of them
    uv run benchmarks/exact_serving.py --table       # only the table of what is stored

A model of each kind is trained for 60 CPU seconds on one thread, leave-one-out in exact time order, and the epoch that
validation chose is exported with the histories that its test knows (``--history=valid``). The evaluator ranks from the
checkpoint and the dataset; the folder recommends from users' tokens, and gives tokens back. Two lists of a user are
alike if they hold the same items in the same places; where they do not, the model's own scores of the two items in
question decide: a tie is a difference of at most 1e-5 of the score. NDCG@10 of what was recommended is computed here
from the test items' tokens, and stands beside the evaluator's; once more for recommendations that leave nothing out.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from stored_runs import Experiment, prints

from recbole_logq.data.dataset.protocol import filters_history
from recbole_logq.experiment.restore import restore_own
from recbole_logq.markup import markdown_table
from recbole_logq.serving import Retriever
from recbole_logq.serving.export import export
from recbole_logq.training.ranking import rank

K, TIE = 10, 1e-5


@torch.no_grad()
def served(result: dict[str, Any]) -> dict[str, Any]:
    """Compare all users' lists."""
    restored = restore_own(result["checkpoint"])
    model, loader, data = restored.network.eval(), restored.loaders[2], restored.parts[2]
    ranked = rank(model, loader, K).items
    blocks = list(loader.blocks())
    users = torch.cat([block[0][data.uid_field] for block in blocks])
    targets = torch.cat([block[3] for block in blocks])  # leave-one-out: one a user
    user_tokens, item_tokens = (data.field2id_token[field] for field in (data.uid_field, data.iid_field))
    with tempfile.TemporaryDirectory() as folder:
        manifest = export(result["checkpoint"], Path(folder) / "export", history="valid")
        retriever = Retriever.load(Path(folder) / "export")
        users_served = [str(user_tokens[user]) for user in users]
        recommendations = retriever.recommend(users_served, k=K, exclude_history=filters_history(restored.config))
        unfiltered = retriever.recommend(users_served, k=K)
    id_of = {str(token): place for place, token in enumerate(item_tokens)}
    items = torch.tensor([[id_of[item] for item in row] for row in recommendations.items])
    query, vectors = torch.cat([model.queries(block[0]) for block in blocks]), model.item_vectors(None)
    ours, theirs = (torch.einsum("rd,rkd->rk", query, vectors[ids]) for ids in (items, ranked))
    size = theirs.abs()
    differs = items != ranked
    tie = ((ours - theirs).abs() <= TIE * size) | ~differs
    expected = [str(item_tokens[target]) for target in targets]
    return {
        "served": {
            "users": len(users),
            "alike": int((~differs).all(1).sum()),
            "ties": int((differs.any(1) & tie.all(1)).sum()),
            "different": int((~tie.all(1)).sum()),
            "largest_score_difference": float(((torch.from_numpy(recommendations.scores) - theirs).abs() / size).max()),
            "largest_encoder_difference": manifest["largest_difference"],
            "ndcg@10": _ndcg(recommendations.items, expected),
            "ndcg@10_history_ranked_too": _ndcg(unfiltered.items, expected),
        }
    }


def _ndcg(items: list[list[str]], expected: list[str]) -> float:
    discount = 1 / torch.arange(2.0, K + 2).log2()
    hits = torch.tensor([[item == target for item in row] for row, target in zip(items, expected, strict=True)])
    return round(float((hits * discount).sum(1).mean()), 4)


RUNS: dict[str, tuple[str, dict[str, Any]]] = {
    "ids": ("TwoTowerCorrectedLogQ", {"learning_rate": 0.003}),
    "features": (
        "TwoTowerCorrectedLogQ",
        {
            "learning_rate": 0.003,
            "item_features": ["genre", "release_year"],
            "user_features": ["age", "gender", "occupation"],
        },
    ),
    "history": ("TwoTowerCorrectedLogQ", {"learning_rate": 0.003, "user_tower": "history"}),
    "sasrec": ("SASRecCorrectedLogQ", {"positions": "rotary"}),
}
EXPERIMENT = Experiment(
    "exact_serving",
    "ml-1m",
    {name: {"model": model, "seeds": [1], "settings": settings} for name, (model, settings) in RUNS.items()},
    {
        "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
        "metrics": ["Recall", "NDCG"],
        "topk": [K],
        "valid_metric": "NDCG@10",
        "show_progress": False,
        "epochs": 1000,
        "max_train_cpu_seconds": 60.0,
    },
    served,
)


def table() -> str:
    """Users whose lists are alike, and both NDCGs."""
    heads = ["users", "the same ten", "but for ties", "different", "largest difference of a score"]
    heads += ["NDCG@10 served", "evaluator's", "served, history ranked too", "test split"]

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        (result,) = runs
        served = result["served"]
        counts = [f"{served[key]:,}" for key in ("users", "alike", "ties", "different")]
        ndcg = [served["ndcg@10"], result["test_result"]["ndcg@10"], served["ndcg@10_history_ranked_too"]]
        return [
            *counts,
            f"{served['largest_score_difference']:.1e}",
            *(f"{value:.4f}" for value in ndcg),
            prints(runs),
        ]

    return markdown_table(["model", "seed", *heads], EXPERIMENT.rows(cells))


if __name__ == "__main__":
    EXPERIMENT.main(__doc__ or "", table)
