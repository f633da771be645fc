"""What stands in the way of an item to come: how much of a model's softmax, and of its top ten, are items already had.

    uv run benchmarks/quality_strata.py && uv run benchmarks/quality_sports.py      # store it with each run

Test rows, one target each. `nll` is -log of the target's softmax probability, in nats, over all items and over those
that the user has not had: the objective that the losses estimate, where the full softmax is exact, and the part of it
that a ranking with the history filtered asks for.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable

import torch
from stored_runs import Experiment, mean_and_interval

from recbole_logq.experiment.restore import restore_own
from recbole_logq.markup import markdown_table

ROWS = 512
KEY = "what_is_ranked"
MEASURES = {
    "own_mass": "softmax mass on items already had",
    "own_in_top_10": "of the top ten already had",
    "nll": "nll",
    "nll_of_new": "nll among new items",
}


@torch.no_grad()
def what_is_ranked(checkpoint: str) -> dict[str, float]:
    """The means of :data:`MEASURES` over the test rows of a run whose protocol filters the history."""
    restored = restore_own(checkpoint, show_progress=False)
    network, loader = restored.network.eval(), restored.loaders[2]
    items, measured = network.item_vectors(None)[1:], {name: [] for name in MEASURES}  # type: dict[str, list[float]]
    for rows, history, target_rows, targets in loader.blocks(step=ROWS):
        scores = (network.queries(rows) @ items.T).double()
        assert torch.equal(target_rows, torch.arange(len(scores)))
        is_own = torch.zeros_like(scores, dtype=torch.bool)
        is_own[history[0], history[1] - 1] = True
        target = scores[target_rows, targets - 1]
        of_new = scores.masked_fill(is_own, -torch.inf)
        measured["own_mass"] += (scores.softmax(1) * is_own).sum(1).tolist()
        measured["own_in_top_10"] += is_own.gather(1, scores.topk(10).indices).double().mean(1).tolist()
        measured["nll"] += (scores.logsumexp(1) - target).tolist()
        measured["nll_of_new"] += (of_new.logsumexp(1) - target).tolist()
    return {name: statistics.mean(values) for name, values in measured.items()}


def table(experiments: Iterable[Experiment]) -> str:
    """Means over seeds, half of a 95 % t interval beside."""
    rows = []
    for experiment in experiments:
        for name in experiment.runs:
            runs = [run[KEY] for run in experiment.stored(name) if KEY in run]
            if runs:
                cells = [mean_and_interval([run[measure] for run in runs]) for measure in MEASURES]
                encoder = "SASRec" if experiment.runs[name]["model"].startswith("SASRec") else "TwoTower"
                rows.append([f"{encoder}, {experiment.dataset}", name, str(len(runs)), *cells])
    head = ["encoder and data", "run", "seeds", *MEASURES.values()]
    return markdown_table(head, rows) if rows else "No run is stored yet."
