"""`recbole-logq lab`: the laboratory's three questions as one command."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.flags import take_flags
from recbole_logq.lab.estimator import DEFAULT, Estimator
from recbole_logq.lab.measure import Measured, check_mask, depends_on_row, full_gradient, measure
from recbole_logq.lab.options import FoldingOptions, GradientOptions, OfCheckpoint, WeightOptions
from recbole_logq.lab.problem import World
from recbole_logq.lab.strata import strata, where_it_lies
from recbole_logq.lab.subject import Subject
from recbole_logq.plugins import load_plugins
from recbole_logq.terminal import bar_options


def gradients(**options: Any) -> dict[str, Any]:
    """Bias, spread and head mass of estimators, on a synthetic world or on a trained model and its batches.

    Args:
        **options: ``checkpoint`` (a file; without it ``items``, ``zipf`` and ``stage`` of the synthetic world),
            ``estimators`` (names, separated by spaces), ``counts`` (numbers of negatives), ``rows``, ``pools``,
            ``inside``, ``seed``, ``show_progress``, ``data_path``, ``plugins``.

    Returns:
        ``subject``, ``facts``, ``rows``, ``items``, ``p_positive``, ``pools``, ``seed``, ``strata`` (where the
        gradient lies) and ``estimators``, one entry per estimator and count; of a checkpoint, an entry's ``inside`` is
        the same for rows that are in the batch, None for a mask of the batch.

    Raises:
        RequestError: An option is unknown or out of range.
    """
    from tqdm import tqdm

    given_flags, chosen = options.keys(), take_flags(dict(options), GradientOptions)
    if chosen.checkpoint and given_flags & {"items", "zipf", "stage"}:
        raise RequestError("items, zipf and stage are of the synthetic world: leave them out, or the checkpoint")
    load_plugins(chosen.plugins)
    estimators = [Estimator.parse(name) for name in chosen.estimators or DEFAULT]
    if not chosen.counts:
        raise RequestError("counts=[]: give at least one number of negatives")
    subject = _subject(chosen)
    for estimator in estimators:
        check_mask(estimator, subject)
    measured = []
    jobs = [(estimator, n) for estimator in estimators for n in chosen.counts]
    for estimator, n in tqdm(jobs, **bar_options(), disable=not chosen.show_progress, desc="estimators"):
        measured.append(entry(estimator, subject, n, chosen.pools, chosen.seed, chosen.inside))
    return {**about(subject), "pools": measured[0]["pools"], "seed": chosen.seed, "estimators": measured}


def about(subject: Subject) -> dict[str, Any]:
    """What a report says of its subject, where its gradient lies included."""
    return {
        "subject": subject.name,
        "facts": subject.facts,
        "rows": len(subject.positives),
        "items": subject.scores.shape[1],
        "p_positive": subject.p_positive,
        "strata": where_it_lies(strata(subject), full_gradient(subject)),
    }


def entry(
    estimator: Estimator, subject: Subject, n: int, pools: int, seed: int = 0, inside: bool = True
) -> dict[str, Any]:
    """What a report says of one estimator with n negatives.

    Args:
        estimator: Estimator to measure.
        subject: Rows, scores and batches.
        n: Columns of a pool.
        pools: Number of pools.
        seed: Seed of the sampler.
        inside: Whether rows are examined in batches that hold them, too, where the subject has such batches.
    """
    outside = measure(estimator, subject, n, pools, seed)
    report = {**asdict(outside), "consistent": estimator.consistent}
    if not inside or subject.inside is None:
        return report
    within: Measured | None = outside
    if estimator.mask == "query":  # what is masked, and so what is estimated, is another thing in every batch
        within = None
    elif depends_on_row(estimator, subject):
        within = measure(estimator, subject, n, pools, seed, inside=True)
    kept = ("bias", "bias_error", "squared_bias", "spread", "head_mass", "strata")
    of_rows = None if within is None else {key: value for key, value in asdict(within).items() if key in kept}
    return {**report, "inside": of_rows}


def sample_weights(**options: Any) -> dict[str, Any]:
    """The training positives on which a model is most and least certain.

    Args:
        **options: ``checkpoint``, ``limit`` (positives to look at), ``top`` (entries of each list), ``seed``,
            ``data_path``, ``plugins``.

    Returns:
        ``subject``, ``rows``, ``mean``, ``deciles``, and the lists ``most_certain`` and ``least_certain`` of ``user``,
        ``item``, ``w`` and ``targets`` (training targets of the item).

    Raises:
        RequestError: No checkpoint, or an option is unknown or out of range.
    """
    chosen = take_flags(dict(options), WeightOptions)
    if not chosen.checkpoint:
        raise RequestError("--sample-weights needs a model: set --checkpoint=FILE")
    from recbole_logq.experiment.restore import restore_own
    from recbole_logq.lab.checkpoint_subject import exact_weights

    restored = restore_own(chosen.checkpoint, **of_restoring(chosen))
    exact = exact_weights(restored, chosen.limit, chosen.seed)
    weights, dataset = exact["weights"], restored.parts[0]
    order = weights.argsort(stable=True)

    def entries(index: Any) -> list[dict[str, Any]]:
        users = dataset.id2token(dataset.uid_field, exact["users"][index])
        items = dataset.id2token(dataset.iid_field, exact["items"][index])
        targets = restored.network.target_counts[exact["items"][index]]
        columns = (users, items, weights[index].tolist(), targets.tolist())
        return [
            {"user": str(user), "item": str(item), "w": w, "targets": n}
            for user, item, w, n in zip(*columns, strict=True)
        ]

    return {
        "subject": f"{restored.config['model']} on {restored.config['dataset']}",
        "rows": len(weights),
        "mean": float(weights.mean()),
        "deciles": [float(weights[order[len(order) * d // 10]]) for d in range(1, 10)],
        "most_certain": entries(order[: chosen.top]),
        "least_certain": entries(order.flip(0)[: chosen.top]),
    }


def folding(**options: Any) -> dict[str, Any]:
    """The two-language toy under choices of negatives, and under impressions with sampled negatives beside them.

    Args:
        **options: ``seed``.

    Returns:
        ``folding``: an entry per choice with ``negatives``, ``foreign``, ``own_hits`` and ``share``, the share of the
        loss that sampled negatives have beside impressions. ``ends``: for each of their sources the least share from
        which on folding has ended, None where it has not.
    """
    from recbole_logq.lab.folding import SHARES, end_of_folding, fold, fold_impressions

    seed = take_flags(dict(options), FoldingOptions).seed
    outcomes = [fold(negatives, seed=seed) for negatives in ("own", "global", "mixed")]
    uniform = fold_impressions("uniform", 0.0, seed=seed)  # the same whatever would lie beside it
    mixtures = {
        beside: [fold_impressions(beside, share, seed=seed) for share in SHARES] for beside in ("uniform", "in_batch")
    }
    ends = {beside: end_of_folding([uniform, *several]) for beside, several in mixtures.items()}
    outcomes += [uniform, *(outcome for several in mixtures.values() for outcome in several)]
    return {"seed": seed, "folding": [asdict(outcome) for outcome in outcomes], "ends": ends}


def _subject(chosen: GradientOptions) -> Subject:
    if chosen.checkpoint:
        from recbole_logq.experiment.restore import restore_own
        from recbole_logq.lab.checkpoint_subject import checkpoint_subject

        return checkpoint_subject(restore_own(chosen.checkpoint, **of_restoring(chosen)), chosen.rows, chosen.seed)
    if chosen.data_path:
        raise RequestError("data_path goes with --checkpoint=FILE: the synthetic world has no files")
    if chosen.items > 200_000:
        raise RequestError(f"items={chosen.items}: the exact softmax takes too much memory, at most 200,000")
    try:
        world = World(items=chosen.items, zipf=chosen.zipf, stage=chosen.stage, seed=chosen.seed)
    except ValueError as error:
        raise RequestError(str(error)) from error
    return world.subject(chosen.rows)


def of_restoring(chosen: OfCheckpoint) -> dict[str, Any]:
    """Settings under which a checkpoint is opened to be looked at."""
    # The computer's whole log is nobody's business here.
    changes = {"data_path": chosen.data_path, "plugins": chosen.plugins}
    return {"state": "WARNING", "show_progress": False} | {key: value for key, value in changes.items() if value}
