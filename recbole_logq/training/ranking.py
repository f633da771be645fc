"""Full ranking: the best items of every row, block by block, and RecBole's metrics of them."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from recbole.evaluator.register import metric_information
from recbole.utils import set_color
from torch import Tensor
from tqdm import tqdm

from recbole_logq.data.batches.ranking_loader import RankingLoader
from recbole_logq.evaluation.top_k import Catalogue, TopK, top_k_of_scores
from recbole_logq.terminal import bar_options

ROWS = 1024
"""Rows of a block where items stream by: enough that everything done once a block costs nothing."""
RANKED = frozenset({"rec.items", "rec.topk"})


class PairsOnlyError(Exception):
    """A model's ``full_sort_predict`` is not implemented, which shows when it is called."""


class Ranking(NamedTuple):
    """What RecBole's metrics of the best k items look at.

    Attributes:
        items: The best items, int64 ``[rows, k]``; RecBole's ``rec.items``. 0, the padding item, where a row has fewer
            to rank.
        hits: Whether each of them is a target, and the number of targets, int64 ``[rows, k + 1]``; RecBole's
            ``rec.topk``.
    """

    items: Tensor
    hits: Tensor


def why_not(config: Any, loader: Any) -> str | None:
    """Why RecBole's own evaluation is needed; None where :func:`rank` has all that the metrics look at."""
    if reason := why_not_ranked(config, loader):
        return reason
    for metric in config["metrics"]:
        needs = set(metric_information[metric.lower()]) - RANKED
        if any(need.startswith("rec.") for need in needs):
            return f"{metric} is not about the best items only"
    return None


def why_not_ranked(config: Any, loader: Any) -> str | None:
    """Why :func:`rank` cannot rank the rows of a loader; None where it can."""
    if not isinstance(loader, RankingLoader):
        return "only some items are ranked"
    if loader.pairs_only:
        return f"{config['model']} scores pairs only"
    return None


@torch.no_grad()
def rank(
    model: Any, loader: RankingLoader, k: int, first: int = 0, last: int | None = None, show_progress: bool = False
) -> Ranking:
    """Rank all items for the rows ``[first, last)`` of a loader.

    A model with ``queries`` and ``item_vectors`` is ranked while its items stream by; others give
    blocks of scores.

    Args:
        model: Model in evaluation mode.
        loader: The part to evaluate.
        k: Number of items to keep.
        first: The first row.
        last: The row after the last, all by default.
        show_progress: Whether to draw a progress bar.

    Returns:
        The ranking, on the CPU; that of other rows can be put below it.

    Raises:
        PairsOnlyError: The model has no ``full_sort_predict``.
    """
    device = loader.config["device"]
    catalogue = Catalogue(model.item_vectors(None)) if hasattr(model, "queries") else None
    step = loader.step if catalogue is None else ROWS
    last = loader.sample_size if last is None else last
    blocks: Any = loader.blocks(first, last, step)
    if show_progress:
        total = -(-(last - first) // step)
        blocks = tqdm(blocks, total=total, **bar_options(), desc=set_color("Evaluate   ", "pink"))
    n_items = loader._dataset.item_num
    parts = [Ranking(torch.empty(0, k, dtype=torch.int64), torch.empty(0, k + 1, dtype=torch.int64))]
    for rows, history, target_rows, target_items in blocks:
        rows = rows.to(device)
        excluded = None if history is None else (history[0].to(device), history[1].to(device))
        if catalogue is not None:
            best = catalogue.top_k(model.queries(rows), k, excluded)
        else:
            try:
                scores = model.full_sort_predict(rows)
            except NotImplementedError as error:
                raise PairsOnlyError from error
            best = top_k_of_scores(scores.view(-1, n_items), k, excluded)
        parts.append(_mark(best, target_rows, target_items, n_items))
    return Ranking(*(torch.cat(column) for column in zip(*parts, strict=True)))


def _mark(best: TopK, target_rows: Tensor, target_items: Tensor, n_items: int) -> Ranking:
    """Find the targets (pairs sorted by row) among the best items."""
    ranked = best.scores.cpu() > -torch.inf
    items = best.items.cpu() * ranked  # what is not ranked only fills the list up
    rows = torch.arange(len(items)).unsqueeze(1)
    targets = (target_rows * n_items + target_items).sort().values
    pairs = rows * n_items + items
    hits = targets[torch.searchsorted(targets, pairs).clamp_max(len(targets) - 1)] == pairs
    hits &= ranked
    count = torch.bincount(target_rows, minlength=len(items)).unsqueeze(1)
    return Ranking(items, torch.cat([hits.long(), count], dim=1))


def metrics(ranking: Ranking, collector: Any, evaluator: Any) -> Any:
    """RecBole's metrics of a ranking.

    Args:
        ranking: All rows.
        collector: RecBole's ``Collector``, which knows the training data.
        evaluator: RecBole's ``Evaluator``.

    Returns:
        The metrics by name, rounded as configured.
    """
    for name, matrix in (("rec.items", ranking.items), ("rec.topk", ranking.hits)):
        if collector.register.need(name):
            collector.data_struct.set(name, matrix)
    return evaluator.evaluate(collector.get_data_struct())
