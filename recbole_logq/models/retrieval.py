"""What every own model shares: an encoder's queries against a pool of negatives under a loss."""

from __future__ import annotations

import inspect
from typing import Any

import torch
from torch import Tensor, nn

from recbole_logq.errors import RequestError
from recbole_logq.losses import Loss, check_pairing, get_loss
from recbole_logq.losses.corrected_logq import CorrectedLogQ
from recbole_logq.models.statistics import StepStatistics
from recbole_logq.modules.scorer import Scorer
from recbole_logq.probability.frequency import TargetCounts
from recbole_logq.registry import losses, samplers
from recbole_logq.samplers import get_sampler, valid_columns
from recbole_logq.settings import nearest

# A catalogue to try a sampler's options on before any data is loaded.
_SOME_COUNTS = torch.ones(10_001, dtype=torch.int64).index_fill_(0, torch.tensor([0]), 0)


class RetrievalMixin(nn.Module):
    """Mix into a RecBole recommender; the subclass gives :meth:`item_vectors` and calls :meth:`retrieval_loss`."""

    def build_retrieval(self, config: Any, counts: TargetCounts) -> None:
        """Set up loss, sampler and scorer.

        Args:
            config: The checked settings.
            counts: How often each item is a training target.
        """
        source, count, options = _sampler_settings(config["negatives"])
        self.loss = _build_loss(config["loss"], counts.n_items - 1, config["loss_options"])
        # Another stream than the loader's, which shuffles with the seed itself.
        self.sampler = get_sampler(source)(counts, count=count, seed=config["seed"] + 1, **options)
        self.hits = config["hits"] or self.loss.hits
        self.scorer = Scorer(config["similarity"], config["temperature"])
        self.statistics = StepStatistics()

    def item_vectors(self, ids: Tensor | None) -> Tensor:
        """Vectors of items ``[..., d]``, prepared for the scorer; the whole table with padding row for None."""
        raise NotImplementedError

    def retrieval_loss(self, query: Tensor, positives: Tensor, n_units: int) -> Tensor:
        """Mean loss over the rows that have a valid negative.

        Args:
            query: Query vectors, ``[rows, d]``, as the encoder gives them.
            positives: Target items, int64 ``[rows]``.
            n_units: Independent units (interactions or windows) that the batch is made of.

        Returns:
            A scalar; 0 where no row counts.
        """
        pool = self.sampler.sample(positives, n_units=n_units)
        whole = pool.kind == "catalogue"
        positive_vectors = self.item_vectors(positives)
        pool_vectors = self.item_vectors(None)[1:] if whole else self.item_vectors(pool.ids)
        valid = valid_columns(pool, positives, self.hits)
        terms = pool.terms(positives)
        values = self.loss.from_vectors(self.scorer.query(query), positive_vectors, pool_vectors, valid=valid, **terms)
        counted = torch.ones_like(positives, dtype=torch.bool) if valid is None else valid.any(1)
        n_counted = counted.sum()
        self.statistics.add(len(positives), len(positives) - n_counted, len(pool.ids))
        if isinstance(self.loss, CorrectedLogQ):
            self.statistics.add_weights(self.loss.weight_of(values[counted]))
        return values.sum() / n_counted.clamp_min(1)

    def after_step(self) -> None:
        """Called by the trainer after every applied optimizer step."""
        self.sampler.after_step()

    @classmethod
    def check_settings(cls, values: dict[str, Any], given: dict[str, Any]) -> None:
        """Refuse combinations that make no sense.

        Raises:
            RequestError: In one line, naming what to set instead.
        """
        source, count, options = _sampler_settings(values["negatives"])
        try:
            loss = _build_loss(values["loss"], 1000, values["loss_options"])
            sampler = samplers.get(source)
            check_pairing(loss, values["hits"] or loss.hits, values["allow_crossed"])
        except ValueError as error:
            raise RequestError(str(error)) from error
        known = inspect.signature(sampler).parameters.keys() - {"counts", "seed"}
        for option in sorted(options.keys() - known):
            raise RequestError(
                f"unknown setting negatives.{option}{nearest(option, {*known, 'source'})} (source={source} has "
                f"{', '.join(sorted(known))})"
            )
        whole = source == "catalogue"
        if whole != (values["loss"] == "full_softmax"):
            raise RequestError(
                f"loss={values['loss']} with negatives.source={source}: full_softmax takes the catalogue and only "
                f"full_softmax does; set {'loss=full_softmax' if whole else 'negatives.source=catalogue'} or another "
                f"{'negatives.source' if whole else 'loss'}"
            )
        if whole and count is not None:
            raise RequestError("negatives.count: full_softmax scores the whole catalogue, leave the count out")
        if not whole:
            try:
                sampler(TargetCounts(_SOME_COUNTS), count=count, seed=0, **options)
            except (ValueError, TypeError) as error:
                raise RequestError(f"negatives: {error}") from error
        if loss.name == "infonce" and values["similarity"] != "cosine":
            raise RequestError("loss=infonce with similarity=dot: it is defined on cosines; set similarity=cosine")
        if loss.hits == "kept" and sampler.kind == "inclusion" and not values["allow_crossed"]:
            raise RequestError(
                f"loss={loss.name} with negatives.source={source}: the form counts draws, distinct ids are none; set "
                "loss=corrected_logq, which weights them by inclusion probabilities"
            )
        if values["worker"]:
            raise RequestError("worker: batches of these models are index arithmetic, no worker helps; leave it out")
        if given.get("train_neg_sample_args") is not None:
            raise RequestError("train_neg_sample_args is RecBole's sampler: set negatives.source and negatives.count")
        if values.get("transform") is not None:
            raise RequestError("transform is a step of RecBole's own models and not supported here: leave it out")
        if values["learner"] == "sparse_adam":
            raise RequestError("learner=sparse_adam needs sparse gradients, which these models do not give: set adam")


def _sampler_settings(negatives: dict[str, Any]) -> tuple[str, int | None, dict[str, Any]]:
    options = {key: value for key, value in negatives.items() if key not in {"source", "count"}}
    return negatives["source"], negatives.get("count"), options


def _build_loss(name: str, catalogue_size: int, options: dict[str, Any] | None) -> Loss:
    """The loss with its own options and what it must know of the catalogue."""
    given = dict(options or {})
    if losses.get(name).needs_catalogue_size:
        given["catalogue_size"] = catalogue_size
    known = inspect.signature(losses.get(name)).parameters
    for key in given.keys() - known.keys():
        raise ValueError(f"loss_options.{key}: {name} has no such option, leave it out")
    return get_loss(name, **given)
