"""Losses and samplers of a configuration, held against the rules of what goes with what."""

from __future__ import annotations

import inspect
from functools import partial
from typing import Any

import torch

from recbole_logq.errors import RequestError
from recbole_logq.losses import Loss, get_loss
from recbole_logq.models.pair_rules import PAIRS, Request, first_reason
from recbole_logq.models.rules import SETTINGS, TRAINING, UNKNOWN_OPTION
from recbole_logq.plugin_errors import described, place_of
from recbole_logq.probability.frequency import TargetCounts
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import Sampler

# A catalogue to try a sampler's options on before any data is loaded.
SOME_COUNTS = torch.ones(10_001, dtype=torch.int64).index_fill_(0, torch.tensor([0]), 0)


def sampler_settings(negatives: dict[str, Any]) -> tuple[str, int | None, dict[str, Any]]:
    """Source, count and further options of a ``negatives`` section."""
    options = {key: value for key, value in negatives.items() if key not in {"source", "count", "own"}}
    return negatives["source"], negatives.get("count"), options


def build_loss(name: str, catalogue_size: int, options: dict[str, Any] | None, seed: int) -> Loss:
    """The loss with its own options and what it must know of the catalogue.

    Raises:
        ValueError: No such loss or option.
    """
    chosen, known = dict(options or {}), inspect.signature(losses.get(name)).parameters
    for key in sorted(chosen.keys() - (known.keys() - {"catalogue_size"})):
        raise ValueError(f"loss_options.{key}: {name} has no such option, leave it out")
    if losses.get(name).needs_catalogue_size:
        chosen["catalogue_size"] = catalogue_size
    if "seed" in known:
        chosen.setdefault("seed", seed + 2)
    return get_loss(name, **chosen)


def why_not(loss: Loss, sampler: type[Sampler], hits: str | None = None, allow_crossed: bool = False) -> str | None:
    """Why a loss and a source of negatives do not go together; None where they do.

    Args:
        loss: The loss.
        sampler: The source.
        hits: Treatment of accidental hits; the loss's own for None.
        allow_crossed: Accept what is inconsistent, for experiments about that.
    """
    return first_reason(PAIRS, Request(loss, sampler, hits, allow_crossed))


def check_combination(values: dict[str, Any], given: dict[str, Any], takes_segments: bool = True) -> None:
    """Refuse settings that make no sense together (:mod:`recbole_logq.models.rules`).

    Args:
        values: All settings, checked one by one.
        given: Settings that the user set.
        takes_segments: Whether the encoder has batches of one segment.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    if reason := first_reason((UNKNOWN_OPTION, *SETTINGS), _request(values, given, takes_segments)):
        raise RequestError(reason)


def check_training(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse what concerns training alone: batches that a source makes no sense with, and options that nothing reads.

    Checkpoints that were trained with such settings can still be used.

    Args:
        values: All settings, checked one by one and with each other.
        given: Settings that the user set.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    if reason := first_reason(TRAINING, _request(values, given)):
        raise RequestError(reason)


def _request(values: dict[str, Any], given: dict[str, Any], takes_segments: bool = True) -> Request:
    source, count, options = sampler_settings(values["negatives"])
    try:
        loss = build_loss(values["loss"], 1000, values["loss_options"], 0)
        sampler = samplers.get(source)
    except TypeError as error:
        fault = "it cannot be made" if place_of(error) else "a value has the wrong type"
        section = f"loss={values['loss']}, loss_options={values['loss_options']}"
        raise RequestError(f"{section}: {fault} ({described(error)})") from error
    except (ValueError, RuntimeError) as error:
        raise RequestError(described(error)) from error
    return Request(
        loss,
        sampler,
        values["hits"],
        values["allow_crossed"],
        values,
        given,
        options,
        make_sampler=partial(sampler, TargetCounts(SOME_COUNTS), count=count, seed=0, **options),
        takes_segments=takes_segments,
    )
