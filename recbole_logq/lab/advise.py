"""`recbole-logq advise`: what to train with, from the data alone or from a trained model."""

from __future__ import annotations

from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.flags import take_flags
from recbole_logq.lab.advice import FULL, Advice, as_records, compare
from recbole_logq.lab.options import AdviceOptions
from recbole_logq.lab.subject import Subject
from recbole_logq.terminal import bar_options

LEAST_TARGETS = 2.0
"""Training targets of a user, on average, from which on a sequence is more than its last item."""


def advise(**options: Any) -> dict[str, Any]:
    """Ways to train, compared by the gradient that they give for the memory and the time.

    Args:
        **options: ``dataset``, with its ``grade_field``, or ``checkpoint``; ``memory_mb``, ``minutes``, ``rows``,
            ``pools``, ``seed``, ``show_progress``, ``data_path``, ``plugins``.

    Returns:
        ``subject``, ``encoder``, ``grade_field``, ``memory_mb``, ``minutes``, ``reasons`` (sentences), ``advice``
        (ways to train, the best first) and ``left_out`` (sentences).

    Raises:
        RequestError: An option is unknown or out of range, or nothing fits into the memory.
    """
    from functools import partial

    from tqdm import tqdm

    chosen = take_flags(dict(options), AdviceOptions)
    if (chosen.dataset is None) == (chosen.checkpoint is None):
        raise RequestError("advise looks at one thing: set --dataset=NAME, or --checkpoint=FILE of a trained model")
    if chosen.checkpoint and chosen.grade_field:
        raise RequestError("grade_field goes with --dataset=NAME: a checkpoint has its own")
    encoder, restored, subject, reasons = _of_checkpoint(chosen) if chosen.checkpoint else _of_dataset(chosen)
    bar = partial(tqdm, **bar_options(), disable=not chosen.show_progress, desc="ways to train")
    advice, left_out = compare(restored, subject, chosen.memory_mb, chosen.minutes, chosen.pools, bar)
    if not advice:
        raise RequestError(f"memory_mb={chosen.memory_mb:g}: nothing fits; {left_out[-1]}")
    return {
        "subject": subject.name,
        "facts": subject.facts,
        "encoder": encoder,
        "grade_field": chosen.grade_field,
        "memory_mb": chosen.memory_mb,
        "minutes": chosen.minutes,
        "reasons": [*reasons, *_reasons(advice)],
        "advice": as_records(advice),
        "left_out": left_out,
    }


def _of_checkpoint(chosen: AdviceOptions) -> tuple[str, Any, Subject, list[str]]:
    from recbole_logq.experiment.restore import restore_own
    from recbole_logq.lab.checkpoint_subject import checkpoint_subject
    from recbole_logq.models.resolve import split_name

    changes = {"data_path": chosen.data_path, "plugins": chosen.plugins}
    quiet = {"state": "WARNING", "show_progress": False} | {key: value for key, value in changes.items() if value}
    restored = restore_own(str(chosen.checkpoint), **quiet)
    model = restored.config["model"]
    encoder = (split_name(model) or (model,))[0]
    reason = f"Encoder {encoder}: the checkpoint's; bias is measured on its own softmax."
    return encoder, restored, checkpoint_subject(restored, chosen.rows, chosen.seed), [reason]


def _of_dataset(chosen: AdviceOptions) -> tuple[str, Any, Subject, list[str]]:
    from recbole_logq.lab.stand_in import OWN, stand_in

    settings = {"seed": chosen.seed, "state": "WARNING", "show_progress": False, "plugins": chosen.plugins}
    if chosen.data_path:
        settings["data_path"] = chosen.data_path
    if chosen.grade_field:
        settings["grade_field"] = chosen.grade_field
    encoder, restored, reason = _untrained(str(chosen.dataset), settings)
    subject = stand_in(restored, chosen.rows, chosen.seed)
    guess = (
        f"Bias is that of a guessed softmax ({OWN:.0%} of it on a row's own items, as trained sequence models were "
        "measured to have): ask again with --checkpoint once a model is trained."
        if subject.windows is not None
        else "Bias is that of a softmax by popularity: ask again with --checkpoint once a model is trained."
    )
    return encoder, restored, subject, [f"Encoder {encoder}: {reason}.", guess]


def _untrained(dataset: str, settings: dict[str, Any]) -> tuple[str, Any, str]:
    """The encoder that fits the data, with an untrained network on them, and why it fits."""
    from recbole.utils import init_seed

    from recbole_logq import compat
    from recbole_logq.config import Config
    from recbole_logq.data.dataset.fingerprint import split_fingerprint
    from recbole_logq.data.prepare import create_dataset, create_loaders, fetch, header_of, split_dataset
    from recbole_logq.experiment.restore import Restored

    compat.apply()

    def built(encoder: str) -> Restored:
        config = Config(f"{encoder}CorrectedLogQ", dataset, None, settings)
        init_seed(config["seed"], config["reproducibility"])
        data = create_dataset(config)
        parts = split_dataset(config, data)
        network = config.model_class(config, parts[0]).to(config["device"])
        return Restored(config, parts, create_loaders(config, data, parts), network, split_fingerprint(parts))

    config = Config("TwoTowerCorrectedLogQ", dataset, None, settings, training=False)
    fetch(config)
    if config["TIME_FIELD"] not in header_of(config):
        return "TwoTower", built("TwoTower"), f"the data have no column {config['TIME_FIELD']}, so no order to learn"
    restored = built("SASRec")
    part = restored.parts[0]
    per_user = len(part) / max(len(part.inter_feat[part.uid_field].unique()), 1)
    if per_user < LEAST_TARGETS:
        reason = f"a user has {per_user:.1f} training targets on average, too few for a sequence"
        return "TwoTower", built("TwoTower"), reason
    return "SASRec", restored, f"the data are in time order, with {per_user:.1f} training targets a user on average"


def _reasons(advice: list[Advice]) -> list[str]:
    """Why the best is the best, a sentence for each choice."""
    best = advice[0]

    def advice_with(**changes: Any) -> Advice | None:
        shape = {"recipe": best.recipe, "own": best.own, "n": best.n, "batch": best.batch} | changes
        alike = [entry for entry in advice if all(getattr(entry, key) == value for key, value in shape.items())]
        return alike[0] if alike else None

    if best.recipe == FULL:
        sampled = next((entry for entry in advice if entry.recipe != FULL), None)
        reason = f"Full softmax: it has no bias, and {best.epochs:,.0f} epochs fit into the time"
        if sampled is None:
            return [f"{reason}."]
        return [f"{reason}; the best sample has a bias of {sampled.bias:.2f} and {sampled.epochs:,.0f} epochs."]
    reasons = []
    sources = {entry.recipe: entry for entry in reversed(advice) if (entry.own, entry.n, entry.batch) == _shape(best)}
    summary = ", ".join(f"{name} {entry.bias:.2f} and {entry.spread:.2f}" for name, entry in sorted(sources.items()))
    reasons.append(f"Source: bias and spread with {best.n:,} negatives are {summary}.")
    without = advice_with(own=None if best.own else "window")
    if without is not None:
        with_own, without_own = (best, without) if best.own else (without, best)
        reasons.append(
            f"Own items {'exactly' if best.own else 'left to the pool'}: bias {with_own.bias:.2f} with them scored "
            f"exactly, {without_own.bias:.2f} without, for {with_own.step_ms / without_own.step_ms:.2f} of the step."
        )
    alike = [entry for entry in advice if (entry.recipe, entry.own, entry.batch) == (best.recipe, best.own, best.batch)]
    counts = sorted(alike, key=lambda entry: entry.n)
    summary = ", ".join(f"{entry.n:,}: {entry.bias:.2f}, {entry.step_ms:.0f} ms" for entry in counts)
    reasons.append(f"Negatives: bias and step of {summary}.")
    full = next((entry for entry in advice if entry.recipe == FULL), None)
    if full is not None:
        reasons.append(
            f"Not the full softmax: {full.epochs:,.1f} of its epochs fit into the time, {best.epochs:,.1f} of these."
        )
    return reasons


def _shape(entry: Advice) -> tuple[str | None, int, int]:
    return entry.own, entry.n, entry.batch
