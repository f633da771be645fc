"""What own items, scored exactly, are worth: ml-1m under a global temporal split, and leave-one-out on three datasets.

    uv run run_recbole_logq.py convert --input=amazon-sports.txt --dataset=sports   # one user a line, as published
    uv run benchmarks/quality_strata.py [--only=NAME] [--seed=N] [--table]    # six to seven CPU hours; resumable

Temporal: SASRec of width 64 with rotary positions, windows of 50, 256 negatives a row (eight pools a step). The last 10
% of all interactions are tested, the 10 % before them validate, and the last one of a user there is the target; nothing
after the cut is trained on.

Leave-one-out: the same encoder beside its full softmax on ml-1m and ml-100k, 32 windows a batch, and two-tower models
on ml-1m, ml-100k and Sports, whose user tower reads the last 20 items. (SASRec on Sports: quality_sports.py.)

Full ranking, the epoch chosen on validation NDCG@10 with the history filtered, which is the last of a cosine as a rule;
the test is ranked with the history filtered and again with it.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import quality_sports
from stored_runs import Experiment, best, main, mean_and_interval, prints
from what_is_ranked import KEY, what_is_ranked

from recbole_logq import evaluate
from recbole_logq.markup import markdown_table

SOURCES = {"in-batch": {"source": "in_batch"}, "mixed": {"source": "mixed", "uniform_share": 0.5}}
FORMS = {"Yi": "LogQ", "corrected": "CorrectedLogQ"}
OWN = {"": "none", ", own window": "window"}
METRICS = ["Recall", "NDCG", "ItemCoverage", "AveragePopularity"]
SHOWN = ("recall@20", "recall@100", "ndcg@10", "itemcoverage@20", "averagepopularity@20")


def _both(result: dict[str, Any]) -> dict[str, Any]:
    """The test with the history filtered and with it, and measures of what is recommended."""
    tests = {}
    for key, filtered in (("filtered", True), ("with_history", False)):
        asked = {"filter_history": filtered, "metrics": METRICS, "topk": [10, 20, 100], "show_progress": False}
        tests[key] = evaluate(result["checkpoint"], config_dict=asked)["test_result"]
    return {"tests": tests, KEY: what_is_ranked(result["checkpoint"])}


SHARED = {
    "filter_history": True,
    "metrics": ["NDCG", "Recall"],
    "topk": [10],
    "valid_metric": "NDCG@10",
    "use_gpu": False,
    "show_progress": False,
}
TRAINED = {"lr_schedule": "cosine", "stopping_step": 1000}


def _negatives(source: str, own: str) -> dict[str, Any]:
    return {"negatives": {**SOURCES[source], "count": 256, "own": OWN[own]}}


TEMPORAL = {"positions": "rotary", "pools": 8, "epochs": 15, "eval_step": 5}
EXPERIMENT = Experiment(
    "quality_strata",
    "ml-1m",
    {
        f"{source}, {form}{own}": {
            "model": f"SASRec{FORMS[form]}",
            "seeds": [1, 2, 3],
            "settings": {**_negatives(source, own), **TRAINED, **TEMPORAL},
        }
        for source, form, own in product(SOURCES, FORMS, OWN)
    }
    | {"RecentPop": {"model": "RecentPop", "seeds": [1], "settings": {"recent_days": 30}}},
    SHARED
    | {
        "eval_args": {
            "split": {"GTS": [0.8, 0.1, 0.1]},
            "order": "TO",
            "mode": "full",
            "targets": "last",
            "unseen": "drop",
        },
    },
    _both,
)


def _leave_one_out(
    name: str, dataset: str, runs: dict[str, tuple[str, dict[str, Any]]], shared: dict[str, Any]
) -> Experiment:
    split = {"eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO", "mode": "full"}}
    entries = {key: {"model": model, "seeds": [1, 2, 3], "settings": given} for key, (model, given) in runs.items()}
    return Experiment(name, dataset, entries, SHARED | TRAINED | split | shared, _both)


SEQUENCES: dict[str, tuple[str, dict[str, Any]]] = {"full softmax": ("SASRecFullSoftmax", {})} | {
    f"mixed, {form}{own}": (f"SASRec{FORMS[form]}", {**_negatives("mixed", own), "pools": 4})
    for form, own in product(FORMS, OWN)
}
SEQUENCES |= {
    f"learned{own}": ("SASRecLearnedSystematic", {"negatives": {"count": 256, "own": OWN[own]}, "pools": 4})
    for own in OWN
}
SEQUENCES["mixed, Yi, own window, 16 pools"] = ("SASRecLogQ", {**_negatives("mixed", ", own window"), "pools": 16})
TOWERS: dict[str, tuple[str, dict[str, Any]]] = {"full softmax": ("TwoTowerFullSoftmax", {})} | {
    f"mixed, {form}{own}": (f"TwoTower{FORMS[form]}", _negatives("mixed", own)) for form, own in product(FORMS, OWN)
}
TOWER_SETTINGS = {
    "user_tower": "history",
    "max_history": 20,
    "history_pooling": "attention",
    "similarity": "dot",
    "learning_rate": 0.001589,
    "epochs": 10,
    "eval_step": 5,
}
LEAVE_ONE_OUT = {
    "ml-1m": _leave_one_out(
        "quality_strata_ml1m",
        "ml-1m",
        SEQUENCES,
        {"train_batch_size": 32, "learning_rate": 0.004, "epochs": 8, "eval_step": 4},
    ),
    "ml-100k": _leave_one_out(
        "quality_strata_ml100k",
        "ml-100k",
        SEQUENCES,
        {"train_batch_size": 32, "dropout": 0.5, "learning_rate": 0.002, "epochs": 40, "eval_step": 10},
    ),
    "towers-ml-1m": _leave_one_out("quality_strata_towers_ml1m", "ml-1m", TOWERS, TOWER_SETTINGS),
    "towers-ml-100k": _leave_one_out(
        "quality_strata_towers_ml100k", "ml-100k", TOWERS, TOWER_SETTINGS | {"epochs": 40, "eval_step": 10}
    ),
    "towers-sports": _leave_one_out(
        "quality_strata_towers_sports", "sports", TOWERS, TOWER_SETTINGS | {"epochs": 20, "eval_step": 10}
    ),
}


def table(experiment: Experiment = EXPERIMENT) -> str:
    """Means over seeds with 95 % t intervals, first with the history filtered, then ranked with it."""
    head = ["run", "seeds", "Recall@20", "Recall@100", "NDCG@10", "coverage@20", "popularity@20"]
    head += ["Recall@20, history ranked too", "NDCG@10, history ranked too", "validation NDCG@10"]
    head += ["CPU s of training", "test split"]

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        filtered, ranked = ([run["tests"][key] for run in runs] for key in ("filtered", "with_history"))
        return [
            *(mean_and_interval([test[metric] for test in filtered]) for metric in SHOWN),
            *(mean_and_interval([test[metric] for test in ranked]) for metric in ("recall@20", "ndcg@10")),
            mean_and_interval([best(run["history"])["valid"] for run in runs]),
            ", ".join(f"{run['history'][-1]['cpu']:.0f}" for run in runs),
            prints(runs),
        ]

    rows = experiment.rows(cells)
    return markdown_table(head, rows) if rows else "No run is stored yet."


RECIPES = {
    "FullSoftmax": "full softmax",
    "MNSLogQ": "mixed, Yi",
    "StrataLogQ": "mixed, Yi, own window",
    "MNSCorrectedLogQ": "mixed, corrected",
    "StrataCorrectedLogQ": "mixed, corrected, own window",
    "LearnedSystematic": "learned",
    "LearnedSystematic, negatives.own=window": "learned, own window",
}
"""Recipes by the name that the runs above have."""


ON_SPORTS = {name: f"SASRec{name}-256-cosine" for name in RECIPES if name != "FullSoftmax"}
ON_SPORTS["FullSoftmax"] = "SASRecFullSoftmax-cosine"
COMPARED: dict[str, tuple[Experiment, dict[str, str]]] = {
    "SASRec, ml-1m": (LEAVE_ONE_OUT["ml-1m"], RECIPES),
    "SASRec, ml-100k": (LEAVE_ONE_OUT["ml-100k"], RECIPES),
    "SASRec, Sports": (quality_sports.EXPERIMENT, ON_SPORTS),
    "TwoTower, ml-1m": (LEAVE_ONE_OUT["towers-ml-1m"], RECIPES),
    "TwoTower, ml-100k": (LEAVE_ONE_OUT["towers-ml-100k"], RECIPES),
    "TwoTower, Sports": (LEAVE_ONE_OUT["towers-sports"], RECIPES),
}
"""Experiments whose runs differ in the recipe alone, and what a recipe's runs are called there."""


def _by_seed(compared: str, recipe: str, value: Callable[[dict[str, Any]], float]) -> dict[int, float]:
    """A figure of a recipe's runs."""
    experiment, names = COMPARED[compared]
    known = names[recipe] in experiment.runs
    return {run["seed"]: value(run) for run in experiment.stored(names[recipe])} if known else {}


def _differences(values: dict[int, float], reference: dict[int, float]) -> str:
    """Seed by seed: the mean, and half of its 95 % interval."""
    both = sorted(values.keys() & reference.keys())
    return mean_and_interval([values[seed] - reference[seed] for seed in both]) if both else "-"


def _validation(run: dict[str, Any]) -> float:
    return float(best(run["history"])["valid"])


def validation_table() -> str:
    """Validation by recipe, and how far each is from the cheapest."""

    def cell(compared: str, recipe: str) -> str:
        values, cheapest = (_by_seed(compared, name, _validation) for name in (recipe, "MNSLogQ"))
        if not values:
            return "-"
        mean = mean_and_interval(list(values.values()))
        return mean if recipe == "MNSLogQ" or not cheapest else f"{mean} ({_differences(values, cheapest)})"

    return markdown_table(
        ["recipe", *COMPARED], [[f"`{name}`", *(cell(compared, name) for compared in COMPARED)] for name in RECIPES]
    )


PAIRS = (
    ("StrataLogQ", "MNSLogQ"),
    ("StrataCorrectedLogQ", "MNSCorrectedLogQ"),
    ("MNSCorrectedLogQ", "MNSLogQ"),
    ("StrataCorrectedLogQ", "StrataLogQ"),
    ("FullSoftmax", "StrataCorrectedLogQ"),
)


def gain_table() -> str:
    """What own items, the corrected form, and the whole catalogue add to NDCG@10, seed by seed."""
    measures: dict[str, Callable[[dict[str, Any]], float]] = {
        "validation": _validation,
        "test": lambda run: _test(run, "filtered"),
        "test, history ranked too": lambda run: _test(run, "with_history"),
    }
    rows = []
    for compared in COMPARED:
        for pair in PAIRS:
            cells = [
                _differences(*(_by_seed(compared, recipe, value) for recipe in pair)) for value in measures.values()
            ]
            rows.append([compared, " - ".join(f"`{recipe}`" for recipe in pair), *cells])
    return markdown_table(["encoder and data", "NDCG@10", *measures], rows)


def _test(run: dict[str, Any], key: str) -> float:
    tests = run.get("tests") or {"filtered": run["test_result"], "with_history": run["test_result_with_history"]}
    return float(tests[key]["ndcg@10"])


if __name__ == "__main__":
    EVERY = [EXPERIMENT, *LEAVE_ONE_OUT.values()]
    main(EVERY, __doc__ or "", lambda: "\n\n".join(f"{each.name}\n\n{table(each)}" for each in EVERY))
