"""`recbole-logq lab`: the laboratory's three questions as one command."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.lab.estimator import DEFAULT, Estimator
from recbole_logq.lab.measure import GROUPS, check_mask, measure
from recbole_logq.lab.problem import World
from recbole_logq.lab.subject import Subject
from recbole_logq.numerals import as_number, as_whole
from recbole_logq.plugins import load_plugins
from recbole_logq.settings import check_keys

COMMON = {"seed"}
CHECKPOINT = {"checkpoint", "data_path", "plugins"}
GRADIENTS = COMMON | CHECKPOINT | {"show_progress", "estimators", "counts", "rows", "pools", "items", "zipf", "stage"}
WEIGHTS = COMMON | CHECKPOINT | {"limit", "top"}


def gradients(**options: Any) -> dict[str, Any]:
    """Bias, spread and head mass of estimators, on a synthetic world or on a trained model and its batches.

    Args:
        **options: ``checkpoint`` (a file; without it ``items``, ``zipf`` and ``stage`` of the synthetic world),
            ``estimators`` (names, separated by spaces), ``counts`` (numbers of negatives), ``rows``, ``pools``,
            ``seed``, ``show_progress``, ``data_path``, ``plugins``.

    Returns:
        ``subject``, ``facts``, ``rows``, ``items``, ``p_positive``, ``pools``, ``seed`` and ``estimators``, one entry
        per estimator and count.

    Raises:
        RequestError: An option is unknown or out of range.
    """
    from tqdm import tqdm

    check_keys(options, GRADIENTS)
    checkpoint = options.get("checkpoint")
    if checkpoint and options.keys() & {"items", "zipf", "stage"}:
        raise RequestError("items, zipf and stage are of the synthetic world: leave them out, or the checkpoint")
    load_plugins(options.get("plugins"))
    names = _words(options.get("estimators")) or list(DEFAULT)
    estimators = [Estimator.parse(name) for name in names]
    counts = [_whole("counts", n, 2) for n in _list(options.get("counts", [64, 256, 1024]))]
    if not counts:
        raise RequestError("counts=[]: give at least one number of negatives")
    rows, pools = _whole("rows", options.get("rows", 64), 1), _whole("pools", options.get("pools", 256), 2 * GROUPS)
    seed = _whole("seed", options.get("seed", 0), 0)
    subject = _subject(checkpoint, options, rows, seed)
    for estimator in estimators:
        check_mask(estimator, subject)
    found = []
    jobs = [(estimator, n) for estimator in estimators for n in counts]
    for estimator, n in tqdm(jobs, ncols=100, disable=not options.get("show_progress", True), desc="estimators"):
        one = measure(estimator, subject, n, pools, seed)
        found.append({**asdict(one), "consistent": estimator.consistent})
    return {
        "subject": subject.name,
        "facts": subject.facts,
        "rows": len(subject.positives),
        "items": subject.scores.shape[1],
        "p_positive": subject.p_positive,
        "pools": found[0]["pools"],
        "seed": seed,
        "estimators": found,
    }


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
    check_keys(options, WEIGHTS)
    if not options.get("checkpoint"):
        raise RequestError("--sample-weights needs a model: set --checkpoint=FILE")
    limit, top = _whole("limit", options.get("limit", 50_000), 1), _whole("top", options.get("top", 15), 1)
    from recbole_logq.experiment.restore import restore_own
    from recbole_logq.lab.checkpoint_subject import exact_weights

    restored = restore_own(str(options["checkpoint"]), **_of_restoring(options))
    found = exact_weights(restored, limit, _whole("seed", options.get("seed", 0), 0))
    weights, dataset = found["weights"], restored.parts[0]
    order = weights.argsort(stable=True)

    def entries(index: Any) -> list[dict[str, Any]]:
        users = dataset.id2token(dataset.uid_field, found["users"][index])
        items = dataset.id2token(dataset.iid_field, found["items"][index])
        targets = restored.network.target_counts[found["items"][index]]
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
        "most_certain": entries(order[:top]),
        "least_certain": entries(order.flip(0)[:top]),
    }


def folding(**options: Any) -> dict[str, Any]:
    """The two-language toy under three choices of negatives.

    Args:
        **options: ``seed``.

    Returns:
        ``folding``: an entry per choice with ``negatives``, ``foreign`` and ``own_hits``.
    """
    from recbole_logq.lab.folding import fold

    check_keys(options, COMMON)
    seed = _whole("seed", options.get("seed", 0), 0)
    return {"seed": seed, "folding": [asdict(fold(negatives, seed=seed)) for negatives in ("own", "global", "mixed")]}


def run_lab(options: dict[str, Any]) -> tuple[dict[str, Any], Callable[[dict[str, Any]], None]]:
    """What the command line asks for; the report and the function that prints it."""
    from recbole_logq.lab.report import print_folding, print_gradients, print_weights

    weights, toy = options.pop("sample_weights", False), options.pop("folding", False)
    if weights and toy:
        raise RequestError("--sample-weights and --folding are two questions: ask one")
    if weights:
        return sample_weights(**options), print_weights
    if toy:
        return folding(**options), print_folding
    return gradients(**options), print_gradients


def _subject(checkpoint: Any, options: dict[str, Any], rows: int, seed: int) -> Subject:
    if checkpoint:
        from recbole_logq.experiment.restore import restore_own
        from recbole_logq.lab.checkpoint_subject import checkpoint_subject

        return checkpoint_subject(restore_own(str(checkpoint), **_of_restoring(options)), rows, seed)
    if options.get("data_path"):
        raise RequestError("data_path goes with --checkpoint=FILE: the synthetic world has no files")
    try:
        world = World(
            items=_whole("items", options.get("items", 1000), 10),
            zipf=_number("zipf", options.get("zipf", 1.0)),
            stage=str(options.get("stage", "mid")),
            seed=seed,
        )
    except ValueError as error:
        raise RequestError(str(error)) from error
    if world.items > 200_000:
        raise RequestError(f"items={world.items}: the exact softmax of so many takes too much memory, at most 200,000")
    return world.subject(rows)


def _of_restoring(options: dict[str, Any]) -> dict[str, Any]:
    # The computer's whole log is nobody's business here.
    given = {"state": "WARNING", "show_progress": False}
    return given | {key: options[key] for key in ("data_path", "plugins") if options.get(key)}


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _words(value: Any) -> list[str]:
    return [str(word) for word in value] if isinstance(value, list) else str(value or "").split()


def _number(name: str, value: Any) -> float:
    number = as_number(value)
    if isinstance(number, bool) or not isinstance(number, int | float):
        raise RequestError(f"{name}={value!r}: a number")
    return float(number)


def _whole(name: str, value: Any, least: int) -> int:
    number = as_whole(value)
    if number is None or not least <= number < 2**32:
        raise RequestError(f"{name}={value!r}: a whole number from {least} up")
    return number
