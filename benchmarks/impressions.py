"""Impressions: in-batch logQ, impression negatives and mixtures of them, three seeds, on a world with known truth.

    uv run benchmarks/impressions.py                   # runs that are missing, then the tables: 10 CPU-minutes
    uv run benchmarks/impressions.py --only=softmax    # runs whose name contains "softmax"
    uv run benchmarks/impressions.py --table           # only the tables of what is stored
    uv run benchmarks/impressions.py --folding         # the laboratory's two languages instead, three seeds
    uv run benchmarks/impressions.py --data            # only write the datasets, for runs of one's own

**shown**, the generated world. A user's chance to want an item is sigmoid(1.5 u.v + q - 3), u and v tastes of 6
dimensions, whose product is divided by the square root of 6, q the item's quality, all standard normal. The logging
policy shows a user ten items a request, all different, drawn by a softmax of half of the taste and the quality, and
sorts a request by that score. The user looks at position k with probability k^-0.7 (position bias), clicks what is
looked at and wanted (grade 1), and likes a click with the same chance again (grade 2). All else is grade 0.

**ml-100k-sessions**, ratings as grades. A session is a user's ratings without a gap of more than 30 minutes; it stands
in for an impression, and a rating of 3 or less for a skip, though nobody has seen the two together: 4 is grade 1, 5 is
grade 2.

Leave-one-out in exact time order over positives, full ranking with the history filtered, epoch chosen on validation
NDCG@10, TwoTower with cosines over a temperature of 0.2, one thread. Beside the test metrics, of the world: *gain*, the
mean chance that a user wants what is ranked among its ten best items, history left out, over that of a perfect ranking;
and *order*, the share of pairs of a further impression of each user, which no data hold, that the model has in the
order of their chances.
"""

from __future__ import annotations

import json
import statistics
import sys
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from stored_runs import Experiment, mean_and_interval, prints

from recbole_logq import load
from recbole_logq.compat import recbole_folder
from recbole_logq.experiment.machine_facts import versions
from recbole_logq.files import write_json
from recbole_logq.lab.command import folding
from recbole_logq.markup import markdown_table

DATA = Path("saved/impressions/data")
SEEDS = [1, 2, 3]
USERS, ITEMS, DIMENSIONS, REQUESTS, SHOWN = 600, 400, 6, 14, 10
SESSION_GAP = 30 * 60
CUTOFF = 10


class World(NamedTuple):
    """The generated world.

    Attributes:
        interest: ``[users, items]``, the chance that a user wants an item.
        shown: int64 ``[users, requests + 1, 10]``, items in the order of their positions; the last is for the test of
            order alone.
        grades: ``[users, requests + 1, 10]``.
    """

    interest: np.ndarray
    shown: np.ndarray
    grades: np.ndarray


def world(seed: int = 0) -> World:
    """Draw the world; the same seed draws the same."""
    draw = np.random.default_rng(seed)
    users, items = draw.normal(size=(USERS, DIMENSIONS)), draw.normal(size=(ITEMS, DIMENSIONS))
    taste = users @ items.T / np.sqrt(DIMENSIONS)
    quality = draw.normal(size=ITEMS)
    interest = 1 / (1 + np.exp(-(1.5 * taste + quality - 3)))
    policy = 0.75 * taste + quality
    # The largest of scores with Gumbel noise are draws without replacement by their softmax.
    drawn = np.argsort(-(policy + draw.gumbel(size=policy.shape)), axis=1)[:, : (REQUESTS + 1) * SHOWN]
    shown = draw.permuted(drawn, axis=1).reshape(USERS, REQUESTS + 1, SHOWN)
    scores = np.take_along_axis(policy[:, None].repeat(REQUESTS + 1, 1), shown, 2)
    shown = np.take_along_axis(shown, np.argsort(-scores, axis=2), 2)
    chance = np.take_along_axis(interest[:, None].repeat(REQUESTS + 1, 1), shown, 2)
    looked = draw.random(shown.shape) < (1 + np.arange(SHOWN)) ** -0.7
    click = looked & (draw.random(shown.shape) < chance)
    like = click & (draw.random(shown.shape) < chance)
    return World(interest, shown, click.astype(int) + like)


def write_world() -> None:
    """Write the dataset ``shown``: requests a thousand seconds apart, positions a second."""
    drawn = world()
    lines = ["user_id:token\titem_id:token\trequest:token\tposition:float\tgrade:float\ttimestamp:float"]
    for (user, request, place), item in np.ndenumerate(drawn.shown[:, :REQUESTS]):
        grade = drawn.grades[user, request, place]
        time = 1000 * request + place
        lines.append(f"u{user}\ti{item}\tr{user}_{request}\t{place + 1}\t{grade}\t{time}")
    _write("shown", lines)


def write_sessions() -> None:
    """Write ml-100k with sessions and grades."""
    source = Path(recbole_folder()) / "dataset_example" / "ml-100k" / "ml-100k.inter"
    rows = [line.split("\t") for line in source.read_text(encoding="utf-8").splitlines()[1:]]
    order = sorted(range(len(rows)), key=lambda n: (rows[n][0], float(rows[n][3]), n))
    lines, session, before = ["user_id:token\titem_id:token\tsession:token\tgrade:float\ttimestamp:float"], 0, ("", 0.0)
    for n in order:
        user, item, rating, time = rows[n]
        session += user != before[0] or float(time) - before[1] > SESSION_GAP
        before = user, float(time)
        lines.append(f"{user}\t{item}\ts{session}\t{max(int(float(rating)) - 3, 0)}\t{time}")
    _write("ml-100k-sessions", lines)


def _write(name: str, lines: list[str]) -> None:
    folder = DATA / name
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.inter").write_text("\n".join(lines) + "\n", encoding="utf-8")


@torch.no_grad()
def truth(result: dict[str, Any]) -> dict[str, Any]:
    """Gain and order of a trained model, by the world's own chances."""
    loaded, drawn = load(result["checkpoint"]), world()
    model, data = loaded.model.eval(), loaded.train.dataset
    users = [int(name[1:]) for name in data.field2id_token[data.uid_field][1:]]
    items = [int(name[1:]) for name in data.field2id_token[data.iid_field][1:]]
    interest = torch.from_numpy(drawn.interest[users][:, items])
    ids = torch.arange(1, len(users) + 1)
    scores = (model.queries({data.uid_field: ids}) @ model.all_items().T)[:, 1:].double()
    known = torch.zeros_like(interest, dtype=torch.bool)
    known[data.inter_feat[data.uid_field] - 1, data.inter_feat[data.iid_field] - 1] = True
    best, ideal = (values.masked_fill(known, -torch.inf).topk(CUTOFF).indices for values in (scores, interest))
    gain = interest.gather(1, best).sum() / interest.gather(1, ideal).sum()
    column = np.full(ITEMS, -1)
    column[items] = np.arange(len(items))
    last = torch.from_numpy(column[drawn.shown[users, -1]])  # [users, 10]; -1: an item that is not in the data
    present = (last >= 0).unsqueeze(2) & (last >= 0).unsqueeze(1)
    chance, score = (values.gather(1, last.clamp_min(0)) for values in (interest, scores))
    more = (chance.unsqueeze(2) > chance.unsqueeze(1)) & present
    right = more & (score.unsqueeze(2) > score.unsqueeze(1))
    return {"truth": {"gain": round(float(gain), 5), "order": round(float(right.sum() / more.sum()), 5)}}


def _entries(full: bool) -> dict[str, dict[str, Any]]:
    def impression(model: str, share: float, beside: str = "in_batch", **settings: Any) -> dict[str, Any]:
        negatives = {"source": "impression", "count": 256, "sampled_share": share, "beside": beside}
        if not share:
            negatives = {"source": "impression", "count": None, "sampled_share": 0}
        negatives |= settings.pop("negatives", {})
        return {
            "model": model,
            "seeds": SEEDS,
            "settings": {"impression_field": FIELD, "negatives": negatives, **settings},
        }

    runs = {"in-batch logQ": {"model": "TwoTowerCorrectedLogQ", "seeds": SEEDS, "settings": {}}}
    for share in (0.9, 0.5, 0.1):
        runs[f"softmax, {share:g} in-batch logQ"] = impression("TwoTowerCorrectedLogQ", share)
    runs["softmax, impressions alone"] = impression("TwoTowerCorrectedLogQ", 0.0)
    runs["pairs, impressions alone"] = impression("TwoTowerBPR", 0.0)
    if full:
        runs["pairs, 0.5 uniform"] = impression("TwoTowerBPR", 0.5, "uniform")
        runs["pointwise, 0.5 uniform, grade as target"] = impression(
            "TwoTowerBCE", 0.5, "uniform", negatives={"grades": "target"}
        )
        runs["pointwise, 0.5 uniform, grade as weight"] = impression(
            "TwoTowerBCE", 0.5, "uniform", weight_field="grade"
        )
    return runs


FIELD = "page"
SHARED: dict[str, Any] = {
    "data_path": str(DATA),
    "grade_field": "grade",
    "eval_args": {"split": {"LS": "valid_and_test"}, "order": "TO"},
    "filter_history": True,
    "metrics": ["NDCG", "Recall"],
    "topk": [CUTOFF],
    "valid_metric": "NDCG@10",
    "embedding_size": 32,
    "learning_rate": 0.003,
    "train_batch_size": 512,
    "epochs": 40,
    "eval_step": 5,
    "stopping_step": 2,
    "diagnostics": False,
    "show_progress": False,
    "state": "WARNING",
}


def _experiment(name: str, dataset: str, field: str, full: bool) -> Experiment:
    runs = _entries(full)
    for entry in runs.values():
        if "impression_field" in entry["settings"]:
            entry["settings"]["impression_field"] = field
    return Experiment(name, dataset, runs, SHARED, truth if dataset == "shown" else None)


WORLDS = _experiment("impressions/shown", "shown", "request", True)
SESSIONS = _experiment("impressions/ml-100k-sessions", "ml-100k-sessions", "session", False)


def table(name: str) -> str:
    """Means over seeds with 95 % intervals (t), of ``shown`` or of ``ml-100k-sessions``."""
    experiment = {"shown": WORLDS, "ml-100k-sessions": SESSIONS}[name]

    def cells(runs: list[dict[str, Any]]) -> list[str]:
        columns = [[run["test_result"][metric] for run in runs] for metric in ("ndcg@10", "recall@10")]
        if name == "shown":
            columns += [[run["truth"][key] for run in runs] for key in ("gain", "order")]
        return [mean_and_interval(column) for column in columns]

    head = ["negatives", "seeds", "test NDCG@10", "test Recall@10"]
    head += ["gain", "order"] if name == "shown" else []
    stored = [run for entry in experiment.runs for run in experiment.stored(entry)]
    if not stored:
        return "Not measured yet."
    return "\n".join([markdown_table(head, experiment.rows(cells)), "", f"Test set: {prints(stored)}."])


FOLDING = Path(__file__).parent / "results" / "impressions" / "folding"


def fold(seed: int) -> None:
    """The two-language toy of the laboratory under one seed."""
    FOLDING.mkdir(parents=True, exist_ok=True)
    write_json(FOLDING / f"{seed}.json", folding(seed=seed) | {"versions": versions()})


def folding_table() -> str:
    """Foreign items among the best ten, mean and range over seeds, and where folding ends."""
    files = [FOLDING / f"{seed}.json" for seed in SEEDS if (FOLDING / f"{seed}.json").is_file()]
    if not files:
        return "Not measured yet."
    reports = [json.loads(file.read_text(encoding="utf-8")) for file in files]
    lines = []
    for outcomes in zip(*(report["folding"] for report in reports), strict=True):
        share = "" if outcomes[0]["share"] is None else f"{outcomes[0]['share']:g}"
        foreign, hits = ([outcome[key] for outcome in outcomes] for key in ("foreign", "own_hits"))
        between = f"{min(foreign):.3f} to {max(foreign):.3f}"
        lines.append(
            [
                outcomes[0]["negatives"],
                share,
                f"{statistics.mean(foreign):.3f}",
                between,
                f"{statistics.mean(hits):.3f}",
            ]
        )
    head = ["negatives", "sampled share", "foreign in the top 10", "over seeds", "users with a held-out hit"]
    ends = []
    for beside in reports[0]["ends"]:
        shares = sorted({f"{report['ends'][beside]:g}" if report["ends"][beside] else "none" for report in reports})
        ends.append(f"with `{beside}` at {' or '.join(shares)}")
    seeds = ", ".join(str(report["seed"]) for report in reports)
    return f"{markdown_table(head, lines)}\n\nSeeds {seeds}. Folding ends {', '.join(ends)}."


if __name__ == "__main__":
    for known, write in (("shown", write_world), ("ml-100k-sessions", write_sessions)):
        if "--table" not in sys.argv and not (DATA / known / f"{known}.inter").exists():
            write()
    if "--folding" in sys.argv:
        for number in [int(word[7:]) for word in sys.argv if word.startswith("--seed=")] or SEEDS:
            if not (FOLDING / f"{number}.json").exists():
                fold(number)
        print(folding_table())
    elif "--data" not in sys.argv:
        WORLDS.main(__doc__ or "", lambda: table("shown"))
        SESSIONS.main(__doc__ or "", lambda: table("ml-100k-sessions"))
