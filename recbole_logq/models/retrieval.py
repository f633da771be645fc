"""What every own model shares: an encoder's queries against a pool of negatives under a loss."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from recbole_logq.losses import mean_over_rows
from recbole_logq.losses.corrected_logq import CorrectedLogQ
from recbole_logq.models.combination import build_loss, check_combination, sampler_settings
from recbole_logq.models.rows import Rows
from recbole_logq.models.statistics import StepStatistics
from recbole_logq.models.step import losses_from_vectors
from recbole_logq.modules.scorer import Scorer
from recbole_logq.probability import SegmentFrequency, TargetCounts
from recbole_logq.samplers import Exclusion, Pool, UserItems, exclusion_of, get_sampler, mask_function, valid_columns
from recbole_logq.samplers.observed import Observed


class RetrievalMixin(nn.Module):
    """Mix into a RecBole recommender; the subclass gives :meth:`item_vectors`, :meth:`queries` and :meth:`rows`."""

    def build_retrieval(self, config: Any, dataset: Any, units: tuple[Tensor, int] | None = None) -> None:
        """Set up loss, sampler and scorer.

        Args:
            config: The checked settings.
            dataset: The training part; counts are of its targets alone.
            units: How many units hold each item, and how many there are, where a unit is more than an interaction.
        """
        source, count, options = sampler_settings(config["negatives"])
        table, n_items = dataset.inter_feat, dataset.item_num
        items = table[dataset.iid_field]
        self.weight_field: str | None = config["weight_field"]
        self.segment_field: str | None = config["segment_field"]
        segments = None
        if self.segment_field:
            segments = SegmentFrequency(dataset.interaction_column(self.segment_field), items, n_items)
        unit_counts, n_units = units or (None, None)
        self.target_counts = torch.bincount(items, minlength=n_items)
        counts = TargetCounts(self.target_counts, unit_counts, n_units, segments)  # type: ignore[arg-type]
        self.loss = build_loss(config["loss"], n_items - 1, config["loss_options"], config["seed"])
        # Another stream than the loader's, which shuffles with the seed itself.
        self.sampler = get_sampler(source)(counts, count=count, seed=config["seed"] + 1, **options)

        def user_items(pairs: tuple[Tensor, Tensor]) -> UserItems:
            return UserItems(pairs[0], pairs[1], n_users=dataset.user_num)

        if isinstance(self.sampler, Observed):
            self.sampler.observe(user_items(dataset.training_negatives))
        self.hits = config["hits"] or self.loss.hits
        self.mask: str = config["mask"]
        self.history = user_items(dataset.training_pairs()) if self.mask == "history" else None
        schedule = (config["temperature_mode"], config["temperature_end"], config["temperature_steps"])
        self.scorer = Scorer(config["similarity"], config["temperature"], *schedule)
        self.statistics = StepStatistics()

    def item_vectors(self, ids: Tensor | None) -> Tensor:
        """Vectors of items ``[..., d]``, prepared for the scorer; the whole table with padding row for None."""
        raise NotImplementedError

    def queries(self, interaction: Any) -> Tensor:
        """Vectors of rows to rank for ``[batch, d]``, temperature applied: dot products with items are the scores."""
        raise NotImplementedError

    def rows(self, interaction: Any) -> Rows:
        """The encoded rows of a batch."""
        raise NotImplementedError

    def calculate_loss(self, interaction: Any) -> Tensor:
        """The loss of a batch, a scalar: the mean over the rows that have a valid negative; 0 where no row counts."""
        rows = self.rows(interaction)
        pool = self.sample_pool(rows)
        excluded = exclusion_of(self.mask, rows.positives, rows.users, self.history)
        values, counted = self._losses(rows, pool, excluded)
        columns = getattr(self.loss, "bucket_items", pool.ids.shape[-1])  # of SCE, which looks at a part
        self.statistics.add(len(counted), len(counted) - counted.sum(), columns)
        if isinstance(self.loss, CorrectedLogQ):
            self.statistics.add_weights(self.loss.weight_of(values[counted]))
        return mean_over_rows(values, counted, rows.weights)

    def sample_pool(self, rows: Rows) -> Pool:
        """The negatives of a step."""
        known = {"users": rows.users, "segment": rows.segment}
        return self.sampler.sample(
            rows.positives, n_units=rows.n_units, **{key: known[key] for key in self.sampler.reads}
        )

    def _losses(self, rows: Rows, pool: Pool, excluded: Exclusion | None) -> tuple[Tensor, Tensor]:
        """The loss of each row, and which rows count."""
        query, positives = self.scorer.query(rows.query), rows.positives
        positive = self.item_vectors(positives)
        if pool.kind == "catalogue":
            vectors = self.item_vectors(None)[1:]
            if self.loss.skips_rows:
                values = self.loss.from_vectors(query, positive, vectors, positive_column=positives - 1)
                return values, values.detach() > 0
            mask = mask_function(pool, positives, self.hits, excluded)  # block by block, never [rows, catalogue]
            values = self.loss.from_vectors(query, positive, vectors, valid=mask)
            return values, torch.ones_like(positives, dtype=torch.bool)
        valid = valid_columns(pool, positives, self.hits, exclusion=excluded)
        assert valid is not None  # of a sampled pool
        counted = valid.any(1)
        terms = pool.terms(positives, excluded)
        vectors = self.item_vectors(pool.ids)
        return losses_from_vectors(self.loss, self.sampler, pool, query, positive, vectors, valid, terms), counted

    def after_step(self) -> None:
        """Called by the trainer after every applied optimizer step."""
        self.sampler.after_step()
        self.scorer.after_step()

    @classmethod
    def check_settings(cls, values: dict[str, Any], given: dict[str, Any]) -> None:
        """Refuse combinations that make no sense.

        Raises:
            RequestError: In one line, naming what to set instead.
        """
        check_combination(values, given)
