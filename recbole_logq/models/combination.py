"""Which losses, sources of negatives, masks and scores go with each other."""

from __future__ import annotations

import inspect
from typing import Any

import torch

from recbole_logq.errors import RequestError
from recbole_logq.losses import Loss, check_pairing, get_loss
from recbole_logq.models.batch_rules import check_batches
from recbole_logq.models.sparse import check_sparse
from recbole_logq.modules.scorer import Scorer
from recbole_logq.plugins import described, place_of
from recbole_logq.probability.frequency import TargetCounts
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import Sampler
from recbole_logq.settings import nearest

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
    given, known = dict(options or {}), inspect.signature(losses.get(name)).parameters
    for key in sorted(given.keys() - (known.keys() - {"catalogue_size"})):
        raise ValueError(f"loss_options.{key}: {name} has no such option, leave it out")
    if losses.get(name).needs_catalogue_size:
        given["catalogue_size"] = catalogue_size
    if "seed" in known:
        given.setdefault("seed", seed + 2)
    return get_loss(name, **given)


def why_not(loss: Loss, sampler: type[Sampler], hits: str | None = None, allow_crossed: bool = False) -> str | None:
    """Why a loss and a source of negatives do not go together; None where they do.

    Args:
        loss: The loss.
        sampler: The source.
        hits: Treatment of accidental hits; the loss's own for None.
        allow_crossed: Accept what is inconsistent, for experiments about that.
    """
    whole = sampler.kind == "catalogue"
    if whole != loss.over_catalogue:
        if whole:
            return f"loss={loss.name} is made of a sample, not of the whole catalogue: set another negatives.source"
        return f"loss={loss.name} goes over the whole catalogue: set negatives.source=catalogue, or another loss"
    try:
        check_pairing(loss, hits or loss.hits, allow_crossed)  # type: ignore[arg-type]
        sampler.check_loss(loss)
    except ValueError as error:
        return str(error)
    if sampler.kind == "observed" and hits == "kept":
        return "hits=kept: an observed negative is never the row's own positive; leave hits out"
    if loss.hits == "kept" and sampler.kind == "inclusion" and not allow_crossed:
        return (
            f"loss={loss.name} with negatives.source={sampler.name}: the form counts draws, distinct ids are none; set "
            "loss=corrected_logq, which weights them by inclusion probabilities"
        )
    return None


def check_combination(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse settings that make no sense together.

    Args:
        values: All settings, checked one by one.
        given: Those that the user set.

    Raises:
        RequestError: In one line, naming what to set instead.
    """
    source, count, options = sampler_settings(values["negatives"])
    try:
        loss = build_loss(values["loss"], 1000, values["loss_options"], 0)
        sampler = samplers.get(source)
    except TypeError as error:
        what = "it cannot be made" if place_of(error) else "a value has the wrong type"
        section = f"loss={values['loss']}, loss_options={values['loss_options']}"
        raise RequestError(f"{section}: {what} ({described(error)})") from error
    except (ValueError, RuntimeError) as error:
        raise RequestError(described(error)) from error
    known = inspect.signature(sampler).parameters.keys() - {"counts", "seed"}
    for option in sorted(options.keys() - known):
        raise RequestError(
            f"unknown setting negatives.{option}{nearest(option, {*known, 'source'})} (source={source} has "
            f"{', '.join(sorted(known))})"
        )
    if reason := why_not(loss, sampler, values["hits"], values["allow_crossed"]):
        raise RequestError(reason)
    if sampler.kind == "catalogue" and count is not None:
        raise RequestError(f"negatives.count: {loss.name} scores the whole catalogue, leave the count out")
    try:
        sampler(TargetCounts(SOME_COUNTS), count=count, seed=0, **options)
    except (ValueError, TypeError) as error:
        raise RequestError(f"negatives: {described(error)}") from error
    _check_mask(values, loss)
    _check_own(values, loss)
    _check_scores(values, loss)
    if sampler.kind == "observed":
        _check_observed(values, given)
    if values["worker"]:
        raise RequestError("worker: batches of these models are index arithmetic, no worker helps; leave it out")
    if given.get("train_neg_sample_args") is not None:
        raise RequestError("train_neg_sample_args is RecBole's sampler: set negatives.source and negatives.count")
    if values.get("transform") is not None:
        raise RequestError("transform is a step of RecBole's own models and not supported here: leave it out")
    if values["learner"] == "sparse_adam":
        raise RequestError("learner=sparse_adam: set learner=adam, with sparse_embeddings=true for sparse gradients")
    check_sparse(values, loss)
    if values["pools"] > 1:
        _check_pools(values, sampler)
    if values["nproc"] > 1:
        _check_processes(values, loss, sampler)


def check_training(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse what concerns training alone: batches that a source makes no sense with, and options that nothing reads.

    Checkpoints that were trained with such settings can still be used.

    Args:
        values: All settings, checked one by one and with each other.
        given: Those that the user set.

    Raises:
        RequestError: In one line, naming what to set instead.
    """
    source, count, options = sampler_settings(values["negatives"])
    loss, section = build_loss(values["loss"], 1000, values["loss_options"], 0), given.get("negatives") or {}
    sampler = samplers.get(source)(TargetCounts(SOME_COUNTS), count=count, seed=0, **options)
    check_batches(values, given, sampler)
    if not loss.needs_log_q and (unread := sampler.law_options & section.keys()):
        raise RequestError(
            f"negatives.{min(unread)}: it is about the probabilities of {source}, and loss={loss.name} reads none; "
            "leave it out"
        )
    if section.get("buckets") is not None and not options.get("hashes"):
        raise RequestError(f"negatives.buckets={options['buckets']}: set negatives.hashes too, or leave it out")
    if values["hits"] not in (None, loss.hits) and sampler.kind == "inclusion":
        raise RequestError(
            f"hits={values['hits']} with negatives.source={source}: of distinct ids a row's own is the only hit there "
            "is; leave hits out"
        )


def _check_pools(values: dict[str, Any], sampler: type[Sampler]) -> None:
    if sampler.kind in ("catalogue", "observed"):
        raise RequestError(
            f"pools={values['pools']}: negatives.source={sampler.name} is the same for all rows or each row's own; "
            "leave pools out"
        )
    if sampler.after_step is not Sampler.after_step:
        raise RequestError(
            f"pools={values['pools']}: negatives.source={sampler.name} learns from the pool of a step; leave pools out"
        )
    if values["nproc"] > 1:
        raise RequestError(f"pools={values['pools']} with nproc={values['nproc']}: one of the two must be 1")


def _check_processes(values: dict[str, Any], loss: Loss, sampler: type[Sampler]) -> None:
    # Their draws are made per row, by the rows a process has; of one process they would be others.
    if sampler.resamples or sampler.kind == "observed":
        raise RequestError(
            f"nproc={values['nproc']}: negatives.source={sampler.name} draws for every row and runs in one process; "
            "leave nproc out"
        )
    if values["eval_args"].get("mode", "full") not in ("full", {"valid": "full", "test": "full"}):
        raise RequestError(
            f"nproc={values['nproc']}: eval_args.mode={values['eval_args']['mode']} draws what is ranked, which one "
            "process does; set mode=full or leave nproc out"
        )
    if values["segment_field"]:
        raise RequestError(
            f"nproc={values['nproc']}: segment_field makes batches that one process takes; leave nproc out"
        )
    if loss.skips_rows:
        raise RequestError(f"nproc={values['nproc']}: loss={loss.name} makes buckets of all rows in one process")


def _check_mask(values: dict[str, Any], loss: Loss) -> None:
    mask = values["mask"]
    if mask == "target":
        return
    if (values["hits"] or loss.hits) == "kept":
        raise RequestError(f"mask={mask}: loss={loss.name} keeps accidental hits among its draws; set mask=target")
    if loss.skips_rows:
        raise RequestError(f"mask={mask}: loss={loss.name} picks its items itself; set mask=target")


def _check_own(values: dict[str, Any], loss: Loss) -> None:
    own, mask = values["negatives"].get("own"), values["mask"]
    if own is None:
        return
    if loss.over_catalogue:
        raise RequestError(f"negatives.own={own}: loss={loss.name} has the own items in its catalogue; leave own out")
    if not loss.takes_certain:
        raise RequestError(
            f"negatives.own={own}: loss={loss.name} is no estimate of a partition function, which own items are a part "
            "of; set loss=corrected_logq, or leave own out"
        )
    if mask == "query" or mask == own:
        raise RequestError(
            f"mask={mask} with negatives.own={own}: the mask takes items out that own puts in; set mask=target"
            + (", or mask=history" if own == "window" else "")
        )
    if loss.name == "logq" and values["negatives"].get("law") == "per_part":
        raise RequestError(
            f"negatives.law=per_part with negatives.own={own}: loss=logq counts its positive as a draw of one law for "
            "all columns; set law=mixture"
        )


def _check_scores(values: dict[str, Any], loss: Loss) -> None:
    if loss.name == "infonce" and values["similarity"] != "cosine":
        raise RequestError("loss=infonce with similarity=dot: it is defined on cosines; set similarity=cosine")
    schedule = (values["temperature_mode"], values["temperature_end"], values["temperature_steps"])
    try:
        Scorer(values["similarity"], values["temperature"], *schedule)
    except ValueError as error:
        raise RequestError(str(error)) from error


def _check_observed(values: dict[str, Any], given: dict[str, Any]) -> None:
    if values.get("benchmark_filename") is not None:
        raise RequestError(
            "benchmark_filename with negatives.source=observed: rows that say no cannot be taken out of a ready-made "
            "split; give one .inter file and a split in eval_args"
        )
    if values["recbole_order"]:
        raise RequestError(
            "recbole_order=true with negatives.source=observed: which of them came before a target needs the exact "
            "time; leave recbole_order out"
        )
    if values["TIME_FIELD"] in (values.get("numerical_features") or []):
        raise RequestError(
            f"numerical_features: negatives.source=observed needs {values['TIME_FIELD']} as it is in the file, "
            "leave it out"
        )
    if (given.get("negatives") or {}).get("count") is None:
        raise RequestError(
            "negatives.source=observed has columns of its own for every row, which take memory: set "
            "--negatives.count=8, or as many as you want"
        )
