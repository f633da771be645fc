"""What every own model shares: an encoder's queries against a pool of negatives under a loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, ClassVar, TypeGuard

import torch
from torch import Tensor, nn
from torch.nn import functional

from recbole_logq.data.dataset.feature_columns import check_features
from recbole_logq.errors import RequestError
from recbole_logq.losses import limits, mean_over_rows
from recbole_logq.losses.column_mask import ColumnMask
from recbole_logq.losses.corrected_logq import CorrectedLogQ
from recbole_logq.losses.fused_logsumexp import valid_counts, why_not
from recbole_logq.losses.own_logsumexp import own_logsumexp
from recbole_logq.losses.score_logsumexp import MASKED_SCORE
from recbole_logq.losses.set_layout import set_layout
from recbole_logq.losses.softmax import SampledSoftmaxLoss
from recbole_logq.losses.terms import Terms
from recbole_logq.models.combination import build_loss, check_combination, check_training, sampler_settings
from recbole_logq.models.distinct_rows import distinct_rows
from recbole_logq.models.key_encoder import KeyEncoder
from recbole_logq.models.pooled_losses import pooled_losses, takes_pools
from recbole_logq.models.rows import Rows
from recbole_logq.models.scored_rows import Part, Scored
from recbole_logq.models.step import losses_from_vectors
from recbole_logq.models.step_statistics import StepStatistics
from recbole_logq.models.targets import Targets
from recbole_logq.models.unread import check_unread
from recbole_logq.modules.packing import DIGIT
from recbole_logq.modules.query import Request, SequenceQuery, TwoTowerQuery
from recbole_logq.modules.scorer import Scorer
from recbole_logq.modules.text_items import TextItems
from recbole_logq.plugin_errors import described
from recbole_logq.probability import SegmentFrequency, TargetCounts
from recbole_logq.ranks import gather_rows, rank, world_size
from recbole_logq.samplers import (
    Exclusion,
    GradedLists,
    Pool,
    UserItems,
    any_column,
    exclusion_of,
    get_sampler,
    group_of_columns,
    shared_items,
    target_items,
    window_items,
)
from recbole_logq.samplers.cross_batch import CrossBatch
from recbole_logq.samplers.device_numbers import DeviceNumbers
from recbole_logq.samplers.impression import Impression
from recbole_logq.samplers.observed import Observed


def _other_units(n_units: int) -> int:
    """Units that a row's columns can come from: given the row its own is there for certain, and left out."""
    return max(n_units - 1, 1)


def _with_groups(pool: Pool, positives: Tensor, windows: Tensor | None, first: Tensor | int = 0) -> Pool:
    """The pool with the window that each column comes from, numbered as the rows of this process number theirs."""
    if windows is None or not pool.from_batch:
        return pool
    group = group_of_columns(pool, positives, windows)
    return replace(pool, column_group=torch.where(group >= 0, group - first, -1))


class RetrievalMixin(nn.Module):
    """Mix into a RecBole recommender.

    The subclass gives :attr:`query_columns`, :meth:`query_encoder`, :meth:`request`, :meth:`item_vectors`,
    :meth:`vectors_of_new_items` and :meth:`rows`.
    """

    n_items: int
    takes_segments: ClassVar[bool] = True
    """Whether a batch can be of one segment: not where a row has a user's whole sequence in it."""
    multi_positive: int = 1
    """Targets of a row, at most, where rows have windows."""
    item_text: Sequence[str] = ()
    """Columns of items that are read as texts."""
    user_text: Sequence[str] = ()
    """Columns of users that are read as texts."""
    second_columns: Sequence[str] = ()
    """Columns of rows that hold second histories."""
    _pools: list[Pool] = []
    """Pools of the step, for a source that learns from them."""
    _untested = False
    """Whether the source is a plug-in's, and has given no pool yet."""
    fixed_shapes = False
    """Whether the step that runs is one of fixed shapes; the trainer sets it."""
    _all_items: tuple[Tensor] | None = None  # in a tuple: as an attribute of its own, a table would be a second one

    def build_retrieval(self, config: Any, dataset: Any, units: tuple[Tensor, int, int] | None = None) -> None:
        """Set up loss, sampler and scorer.

        Args:
            config: The checked settings.
            dataset: The training part; counts are of its targets alone.
            units: Number of units with each item, number of units, and what both are multiplied by, where a unit is
                more than an interaction.
        """
        source, count, options = sampler_settings(config["negatives"])
        table, n_items = dataset.inter_feat, dataset.item_num
        items = table[dataset.iid_field]
        self.weight_field: str | None = config["weight_field"]
        self.segment_field: str | None = config["segment_field"]
        self.impression_field: str | None = config["impression_field"]
        segments = None
        if self.segment_field:
            segments = SegmentFrequency(dataset.interaction_column(self.segment_field), items, n_items)
        unit_counts, n_units, scale = units or (None, None, 1)
        self.target_counts = torch.bincount(items, minlength=n_items)
        counts = TargetCounts(self.target_counts, unit_counts, n_units, segments, scale)  # type: ignore[arg-type]
        self.loss = build_loss(config["loss"], n_items - 1, config["loss_options"], config["seed"])
        self.loss.kernel = config["kernel"]
        # Another stream than the loader's, which shuffles with the seed itself.
        self.sampler = get_sampler(source)(counts, count=count, seed=config["seed"] + 1, **options)
        self._untested = not type(self.sampler).__module__.startswith("recbole_logq.")

        def user_items(pairs: tuple[Tensor, Tensor]) -> UserItems:
            return UserItems(pairs[0], pairs[1], n_users=dataset.user_num)

        if isinstance(self.sampler, Observed):
            self.sampler.observe(user_items(dataset.training_negatives))
        if isinstance(self.sampler, Impression):
            lists = dataset.impression_lists
            self.sampler.observe(GradedLists(lists.start, lists.size, lists.grade, lists.items, lists.grades))
        self.gradient_cache: int | None = config["gradient_cache"]
        self.pools: int = config["pools"]
        self.hits = config["hits"] or self.loss.hits
        self.mask: str = config["mask"]
        self.own: str | None = config["negatives"].get("own")
        reads_history = "history" in (self.mask, self.own)
        self.history = user_items(dataset.training_pairs()) if reads_history else None
        schedule = (config["temperature_mode"], config["temperature_end"], config["temperature_steps"])
        self.scorer = Scorer(config["similarity"], config["temperature"], *schedule)
        one_pool = not isinstance(self.sampler, Impression)  # off a sum of two no weight can be read
        weight_of = self.loss.weight_of if one_pool and isinstance(self.loss, CorrectedLogQ) else None
        self.statistics = StepStatistics(weight_of)
        self.keys: KeyEncoder | None = None
        if isinstance(self.sampler, CrossBatch) and self.sampler.momentum is not None:
            self.keys = KeyEncoder(self.item_encoder(), self.sampler.momentum)
            self.sampler.hold_vectors(self.keys(torch.zeros(1, dtype=torch.int64)).shape[1])

    def vectors_of_new_items(self, columns: Sequence[Tensor]) -> Tensor:
        """Vectors ``[rows, d]`` of items without an id, prepared for the scorer.

        Args:
            columns: Values of ``item_features`` and ``item_text``, in that order, as the dataset has them;
                ``read_new_items`` gives them.

        Raises:
            RequestError: The model has no features of items.
        """
        raise NotImplementedError

    def text_items(self) -> TextItems | None:
        """What makes vectors of items of which texts alone are known; None for a model that reads none."""
        return None

    @property
    def query_columns(self) -> tuple[str, ...]:
        """What :meth:`queries` reads of an interaction, and all that it reads."""
        raise NotImplementedError

    def item_vectors(self, ids: Tensor | None) -> Tensor:
        """Vectors of items ``[..., d]``, prepared for the scorer; the whole table with padding row for None."""
        raise NotImplementedError

    def item_encoder(self) -> nn.Module:
        """The module that makes vectors of ids, before the scorer: what a key encoder is the average of.

        Raises:
            RequestError: The encoder names none.
        """
        raise RequestError(
            "negatives.momentum: this encoder has no item_encoder, whose average would be kept; leave momentum out"
        )

    def query_encoder(self) -> TwoTowerQuery | SequenceQuery:
        """What computes queries, made of the model's own modules: an exported folder has the same without the model."""
        raise NotImplementedError

    def request(self, interaction: Any) -> Request:
        """The columns of :attr:`query_columns` by what they mean."""
        raise NotImplementedError

    def queries(self, interaction: Any) -> Tensor:
        """Vectors of rows to rank for ``[batch, d]``, temperature applied: dot products with items are the scores."""
        return self.query_encoder()(self.request(interaction))

    def rows(self, interaction: Any) -> Rows:
        """The encoded rows of a batch."""
        raise NotImplementedError

    def calculate_loss(self, interaction: Any) -> Tensor:
        """The loss of a batch, a scalar: the mean over the rows that have a valid negative; 0 where no row counts."""
        rows = self.rows(interaction)
        if self.fixed_shapes or rows.real is not None:
            values, counted = self._fixed_losses(rows)
            self.statistics.keep(values, counted, rows.weights)
            return mean_over_rows(values, counted, rows.weights)
        self._pools, weights = [], rows.weights
        if self._pools_at_once(rows):
            values, counted = self._pooled_losses(rows)
            columns: int | Tensor = self.sampler.count or 0
        else:
            parts, scored, drawn = [], [], list(self._with_pools(rows))
            vectors = self._looked_up(drawn)
            for part in drawn:
                self._pools.append(part.pool)
                parts.append(self._losses(part, vectors))
                scored.append(part.rows.weights)
            values, counted = (torch.cat(column) for column in zip(*(part[:2] for part in parts), strict=True))
            columns = parts[0][2]
            known = [part_weights for part_weights in scored if part_weights is not None]
            weights = torch.cat(known) if known else None
        self.statistics.add(len(counted), len(counted) - counted.sum(), columns)
        self.statistics.add_losses(values, counted, weights)
        return mean_over_rows(values, counted, weights)

    def _fixed_losses(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """The loss of each row and which rows count, in operations whose shapes do not depend on the batch."""
        if self.sampler.kind == "catalogue":
            query, positives = self.scorer.query(rows.query), rows.positives
            vectors = self.item_vectors(None)[1:]
            values = self.loss.from_vectors(query, self.item_vectors(positives), vectors)
            real = torch.ones_like(positives, dtype=torch.bool) if rows.real is None else rows.real
            return values.masked_fill(~real, 0.0), real
        return self._pooled_losses(rows, self.sampler.numbers)

    def _pooled_losses(self, rows: Rows, numbers: DeviceNumbers | None = None) -> tuple[Tensor, Tensor]:
        """As `_fixed_losses`, of a sampled-softmax loss on pools of independent draws, all of them at once."""
        assert isinstance(self.loss, SampledSoftmaxLoss)
        query, positives = self.scorer.query(rows.query), rows.positives
        pools = self.sampler.sample_pools(positives, self.pools, numbers=numbers, real=rows.real)
        return pooled_losses(self.loss, pools, query, positives, self.item_vectors, self.hits, rows.windows, rows.real)

    def _pools_at_once(self, rows: Rows) -> bool:
        """Whether the pools of an ordinary step go through one product; on the CPU each stays in its cache instead."""
        n_rows, device = len(rows.positives), rows.positives.device
        return (
            self.pools > 1
            and n_rows >= self.pools
            and device.type != "cpu"
            and takes_pools(self.loss, self.sampler)
            and self.sampler.count is not None
            and n_rows * self.sampler.count <= limits.WHOLE_MATRIX
            and self.mask == "target"
            and self.own is None
            and self.multi_positive == 1
            and rows.segment is None
            and world_size() == 1
        )

    def sample_pool(self, rows: Rows) -> Pool:
        """The negatives of a step, out of the rows of all processes: the same on each of them."""
        known = {"users": rows.users, "shown": rows.shown, "segment": rows.segment, "given_row": True}
        further = {key: known[key] for key in self.sampler.reads}
        if world_size() == 1 or self.sampler.gathers:
            pool = self._drawn(rows.positives, n_units=_other_units(rows.n_units), **further)
            if pool.beside is not None:
                sampled = self._with_held(_with_groups(pool.beside.pool, rows.positives, rows.windows), rows)
                return replace(pool, beside=pool.beside._replace(pool=sampled))
            return self._with_held(_with_groups(pool, rows.positives, rows.windows), rows)
        gathered = gather_rows(rows.positives)
        units = gather_rows(torch.tensor([rows.n_units], device=rows.positives.device)).rows
        positives, own = gathered.rows, torch.arange(len(rows.positives), device=units.device) + gathered.first
        windows = None if rows.windows is None else gather_rows(rows.windows + units[: rank()].sum()).rows
        if rows.place is not None:
            # In the order in which one process with the whole batch would have them.
            earlier_units = units[: rank()].sum()
            order = gather_rows(rows.place + DIGIT * earlier_units).rows.argsort()
            positives, own = positives[order], order.argsort()[own]
            windows = None if windows is None else windows[order]
        pool = self._drawn(positives, n_units=_other_units(int(units.sum())), **further)
        pool = _with_groups(pool, positives, windows, first=units[: rank()].sum())
        return self._with_held(pool.seen_from(own, len(positives)), rows)

    def _drawn(self, positives: Tensor, **further: Any) -> Pool:
        pool = self.sampler.sample(positives, **further)
        if self._untested:
            try:
                pool.check(self.n_items)
            except (ValueError, AttributeError, TypeError) as error:
                raise RequestError(f"sampler {self.sampler.name!r} gives no valid pool: {described(error)}") from error
            self._untested = False
        return pool

    def _with_held(self, pool: Pool, rows: Rows) -> Pool:
        if pool.held_law is None or rows.windows is None:
            return pool
        return replace(pool, held=target_items(rows.windows, rows.positives, rows.n_units, self.n_items))

    def own_items(self, rows: Rows) -> Exclusion | None:
        """The items that each row is scored against for certain, its positive among them; None for none."""
        if self.own is None:
            return None
        if self.own == "window" and rows.windows is not None:
            if rows.first_items is not None:
                return window_items(rows.windows, rows.positives, rows.first_items, self.n_items)
            return shared_items(rows.windows, rows.positives)
        if self.own == "window" and rows.further_own is not None:
            every_row = torch.arange(len(rows.positives), device=rows.positives.device)
            return shared_items(every_row, rows.positives, *rows.further_own)
        return self._sets("query" if self.own == "window" else "history", rows)

    def exclusion(self, rows: Rows) -> Exclusion | None:
        """What the mask takes out beyond each row's positive; None for nothing."""
        return None if self.mask == "target" else self._sets(self.mask, rows)

    def _sets(self, mask: str, rows: Rows) -> Exclusion | None:
        # A query's positives may lie in several processes.
        positives, users = gather_rows(rows.positives), gather_rows(rows.users)
        sets = exclusion_of(mask, positives.rows, users.rows, self.history)
        return None if sets is None else sets.seen_from(positives.first, len(rows.positives))

    def _with_pools(self, rows: Rows) -> Iterator[Part]:
        """Rows, all or a part of them next to each other, with the negatives they share and what is none of theirs."""
        scored, n_pools = self._scored(rows), self.pools
        n_rows = len(scored.rows.positives)
        size = max(-(-n_rows // n_pools), 1)
        for start in range(0, max(n_rows, 1), size):
            part, pool = scored if size >= n_rows else scored.part(start, start + size), self.sample_pool(rows)
            if scored.rows is not rows:  # pairs of rows and targets: their windows say which columns are their own
                pool = replace(pool, origin=torch.full_like(pool.origin, -1))
            elif part is not scored:
                own_rows = torch.arange(start, start + len(part.rows.positives), device=pool.ids.device)
                pool = pool.seen_from(own_rows, n_rows)
            yield Part(part.rows, part.excluded, part.own, part.certain, pool)

    def _scored(self, rows: Rows) -> Scored:
        excluded, own = self.exclusion(rows), self.own_items(rows)
        if self.multi_positive == 1 or rows.windows is None:
            return Scored(rows, excluded, own, None if own is None else self._certain(rows, own))
        # A row's other targets are none of its negatives, and are scored for certain; a mask takes them out, and items
        # that are scored apart hold them already.
        targets = Targets.of(rows, self.multi_positive)
        pairs = targets.rows_of(rows)
        excluded, own = (None if sets is None else sets.of(targets.row) for sets in (excluded, own))
        if own is not None:
            return Scored(pairs, excluded, own, self._certain(pairs, own))
        if excluded is not None or self.loss.over_catalogue:
            return Scored(pairs, excluded, None, None)
        other_targets, positives = (
            target_items(targets.row, pairs.positives, len(rows.positives), self.n_items),
            rows.positives,
        )
        if not self.loss.takes_certain:
            return Scored(pairs, other_targets, None, None)
        query, vectors = self.scorer.query(rows.query), self.item_vectors(positives)
        return Scored(pairs, None, other_targets, targets.others_logsumexp(query, positives, vectors))

    def _looked_up(self, parts: list[Part]) -> Iterator[Tensor]:
        """Vectors of the positives and of the sampled columns, of one pool after the other.

        In one look-up: the gradient of each is as large as the table, and so is their sum.
        """
        ids = [
            column
            for part in parts
            for pool in part.pools()
            if pool.kind != "catalogue"
            for column in (part.rows.positives, pool.looked_up())
        ]
        if not ids:
            return iter(())
        return iter(self.item_vectors(torch.cat(ids)).split([len(column) for column in ids]))

    def _losses(self, part: Part, vectors: Iterator[Tensor]) -> tuple[Tensor, Tensor, int | Tensor]:
        """The loss of each row, which rows count, and how many columns each has."""
        columns = self.sampler.negatives_of_row(part.pool)
        if (looked_at := getattr(self.loss, "bucket_items", None)) is not None:  # of SCE, which looks at a part
            columns = min(looked_at, int(columns))
        values, counted = self._losses_on_pool(part, vectors)
        if (beside := part.pool.beside) is not None:
            further, counted_there = self._losses_on_pool(replace(part, pool=beside.pool), vectors)
            values = (1 - beside.share) * values + beside.share * further
            counted = counted | counted_there
        return values, counted, columns

    def _losses_on_pool(self, part: Part, looked_up: Iterator[Tensor]) -> tuple[Tensor, Tensor]:
        rows, pool = part.rows, part.pool
        query, positives = self.scorer.query(rows.query), rows.positives
        if pool.kind == "catalogue":
            positive, vectors = self.item_vectors(positives), self.item_vectors(None)[1:]
            if self.loss.skips_rows:
                values = self.loss.from_vectors(query, positive, vectors, positive_column=positives - 1)
                return values, values.detach() > 0
            # The mask is a function, asked block by block: never [rows, catalogue].
            values = self.loss.from_vectors(query, positive, vectors, pool.terms(positives, part.excluded, self.hits))
            return values, torch.ones_like(positives, dtype=torch.bool)
        certain = part.certain
        terms = pool.terms(positives, part.excluded, self.hits, rows.windows, part.own, certain)
        mask = terms.valid
        assert callable(mask)  # of a sampled pool
        shared = pool.ids.dim() == 1 and not self.sampler.resamples
        by_matches = isinstance(mask, ColumnMask) and mask.matches is not None
        if shared and self._by_kernel(mask, query, terms):
            counted = valid_counts(mask, len(positives)) > 0
        elif shared and (by_matches or len(positives) * len(pool.ids) > limits.WHOLE_MATRIX):
            counted = any_column(mask, len(positives))
        else:
            whole = mask(0, len(positives))
            terms, counted = replace(terms, valid=whole), whole.any(1)
        if certain is not None:
            counted = counted | (certain.detach() > MASKED_SCORE / 2)
        positive, vectors = next(looked_up), next(looked_up)
        if pool.stored is not None:
            # Stored ones have no gradient: those of the batch, draws of the same law, stand for all of them in theirs.
            share = len(vectors) / len(pool.ids)
            vectors = torch.cat([vectors.detach() + (vectors - vectors.detach()) / share, pool.stored])
        vectors = vectors.view(*pool.ids.shape, vectors.shape[-1])
        return losses_from_vectors(self.loss, self.sampler, pool, query, positive, vectors, terms), counted

    def _by_kernel(self, mask: Any, query: Tensor, terms: Terms) -> TypeGuard[ColumnMask]:
        """Whether a kernel computes the loss, which compares ids itself and needs no mask of rows and columns."""
        served = self.loss.takes_kernel and isinstance(mask, ColumnMask)
        return served and why_not(self.loss.kernel, query, terms) is None

    def _certain(self, rows: Rows, own: Exclusion) -> Tensor:
        """logsumexp of each row's scores with its own items, the positive left out, ``[rows]``; once for all pools."""
        sizes = None
        if rows.window_sizes is not None and rows.first_items is not None:
            widths = rows.window_sizes if rows.rows_of_window is None else rows.rows_of_window
            sizes = (rows.window_sizes + 1, widths)
        layout = set_layout(
            own.row_set,
            rows.positives,
            own.pair_set,
            own.pair_item,
            own.n_sets,
            repeated=own.repeated,
            sizes=sizes,
            n_items=self.n_items,
        )
        query, items = self.scorer.query(rows.query), layout.items
        if items.device.type != "cpu":  # counting distinct items would make the host wait
            return own_logsumexp(query, self.item_vectors(items), layout)
        distinct, place = items.unique(return_inverse=True)
        return own_logsumexp(query, functional.embedding(place, self.item_vectors(distinct)), layout)

    def all_items(self) -> Tensor:
        """Vectors of all items, computed once between two changes of mode: outside of training."""
        if self._all_items is None or self.training:
            self._all_items = (self.item_vectors(None),)
        return self._all_items[0]

    def train(self, mode: bool = True) -> RetrievalMixin:
        """Switch mode; item vectors kept from an evaluation are dropped."""
        self._all_items = None
        return super().train(mode)

    def full_sort_predict(self, interaction: Any) -> Tensor:
        """Scores of the given rows with every item, ``[batch * n_items]``."""
        return (self.queries(interaction) @ self.all_items().T).flatten()

    def predict(self, interaction: Any) -> Tensor:
        """Scores of the given rows with the item of each, ``[batch]``.

        Ranking drawn items asks a hundred times for the same query, each with another item.
        """
        columns = {name: interaction[name] for name in self.query_columns}
        chosen, place = distinct_rows(list(columns.values()))
        query = self.queries({name: column[chosen] for name, column in columns.items()})[place]
        return torch.linalg.vecdot(query, self.item_vectors(interaction[self.ITEM_ID]))

    def after_step(self) -> None:
        """Called by the trainer after every applied optimizer step."""
        self.sampler.learn(self._pools)
        if self.keys is not None and isinstance(self.sampler, CrossBatch) and self.sampler.momentum is not None:
            self.keys.follow(self.item_encoder())
            with torch.no_grad():
                self.sampler.take_vectors(self.scorer.item(self.keys(self.sampler.entering)))
        self.sampler.after_step()
        self.scorer.after_step()

    @classmethod
    def check_settings(cls, values: dict[str, Any], given: dict[str, Any]) -> None:
        """Refuse combinations that make no sense.

        Raises:
            RequestError: The settings do not fit each other; one line names what to set instead.
        """
        check_combination(values, given, cls.takes_segments)
        check_features(values)
        check_unread(cls, given)

    @classmethod
    def check_training(cls, values: dict[str, Any], given: dict[str, Any]) -> None:
        """Refuse settings of training that change nothing, or that its negatives make no sense with.

        Raises:
            RequestError: The settings do not fit each other; one line names what to set instead.
        """
        check_training(values, given)
