"""What every own model shares: an encoder's queries against a pool of negatives under a loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recbole_logq.errors import RequestError
from recbole_logq.losses import check_pairing, get_loss
from recbole_logq.losses.corrected_logq import CorrectedLogQ
from recbole_logq.models.statistics import StepStatistics
from recbole_logq.modules.scorer import Scorer
from recbole_logq.probability.frequency import TargetCounts
from recbole_logq.registry import samplers
from recbole_logq.samplers import get_sampler, valid_columns


class RetrievalMixin(nn.Module):
    """Mix into a RecBole recommender; the subclass gives :meth:`item_vectors` and calls :meth:`retrieval_loss`."""

    def build_retrieval(self, config: Any, counts: TargetCounts) -> None:
        """Set up loss, sampler and scorer.

        Args:
            config: The checked settings.
            counts: How often each item is a training target.
        """
        negatives = config["negatives"]
        self.loss = get_loss(config["loss"])
        # Another stream than the loader's, which shuffles with the seed itself.
        self.sampler = get_sampler(negatives["source"])(counts, count=negatives["count"], seed=config["seed"] + 1)
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
        try:
            loss = get_loss(values["loss"])
            sampler = samplers.get(values["negatives"]["source"])
            check_pairing(loss, values["hits"] or loss.hits, values["allow_crossed"])
        except ValueError as error:
            raise RequestError(str(error)) from error
        source, count = values["negatives"]["source"], values["negatives"]["count"]
        whole = source == "catalogue"
        if whole != (values["loss"] == "full_softmax"):
            raise RequestError(
                f"loss={values['loss']} with negatives.source={source}: full_softmax takes the catalogue and only "
                f"full_softmax does; set {'loss=full_softmax' if whole else 'negatives.source=catalogue'} or another "
                f"{'negatives.source' if whole else 'loss'}"
            )
        if whole and count is not None:
            raise RequestError("negatives.count: full_softmax scores the whole catalogue, leave the count out")
        if source == "uniform" and count is None:
            raise RequestError("negatives.count is not set: uniform negatives need a number of draws")
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
