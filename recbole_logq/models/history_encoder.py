"""A base for encoders of one's own that compute a query from the items that a user had."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from recbole.model.abstract_recommender import SequentialRecommender
from recbole.utils import InputType
from torch import Tensor

from recbole_logq.data.batches.history_loader import HistoryLoader
from recbole_logq.data.dataset.impressions import SHOWN
from recbole_logq.errors import RequestError
from recbole_logq.models.retrieval import RetrievalMixin
from recbole_logq.models.rows import Rows, own_inputs
from recbole_logq.settings import RetrievalSettings


class HistoryEncoder(RetrievalMixin, SequentialRecommender):
    """Rows are targets, each with the items before it: ``train_batch_size`` counts them.

    The subclass gives :meth:`history_vectors` and :meth:`item_vectors`, and calls ``build_retrieval(config, dataset)``
    at the end of its ``__init__``.

    Attributes:
        settings: Schema of its settings, a subclass of ``RetrievalSettings`` whose fields have defaults.
    """

    settings: type[RetrievalSettings] = RetrievalSettings
    input_type = InputType.POINTWISE
    train_loader = HistoryLoader
    takes_segments = False
    n_items: int
    ITEM_SEQ: str
    ITEM_SEQ_LEN: str

    @staticmethod
    def dataset_class() -> type:
        """The dataset that keeps sequences whole."""
        from recbole_logq.data.dataset.sequence_dataset import SequenceDataset

        return SequenceDataset

    def history_vectors(self, items: Tensor, lengths: Tensor) -> Tensor:
        """Vectors of histories ``[rows, d]``.

        Args:
            items: Ids, oldest first, right-padded with 0; int64 ``[rows, length]``.
            lengths: Number of items, at least 1; int64 ``[rows]``.
        """
        raise NotImplementedError

    def _vectors(self, interaction: Any) -> Tensor:
        return self.history_vectors(interaction[self.ITEM_SEQ], interaction[self.ITEM_SEQ_LEN])

    def rows(self, interaction: Any) -> Rows:
        """See :meth:`RetrievalMixin.rows`; a row is a target."""
        targets, users = interaction[self.ITEM_ID], interaction[self.USER_ID]
        weights = interaction[self.weight_field] if self.weight_field else None
        own = own_inputs(interaction[self.ITEM_SEQ]) if self.own == "window" else None
        return Rows(
            query=self._vectors(interaction),
            positives=targets,
            n_units=len(targets),
            users=users,
            weights=weights,
            shown=interaction[SHOWN] if self.impression_field else None,
            further_own=own,
        )

    @property
    def query_columns(self) -> tuple[str, ...]:
        """See :attr:`RetrievalMixin.query_columns`."""
        return (self.ITEM_SEQ, self.ITEM_SEQ_LEN)

    def queries(self, interaction: Any) -> Tensor:
        """See :meth:`RetrievalMixin.queries`."""
        return self.scorer.query(self._vectors(interaction))

    def vectors_of_new_items(self, columns: Sequence[Tensor]) -> Tensor:
        """See :meth:`RetrievalMixin.vectors_of_new_items`."""
        raise RequestError("item_features: the model has none, and nothing to make a new item's vector of")
