"""Rows of a target and what its user had before, for encoders that compute a query from that."""

from __future__ import annotations

from typing import Any

import torch
from recbole.data.interaction import Interaction

from recbole_logq.data.batches.loaders import TensorLoader
from recbole_logq.data.dataset.impressions import SHOWN


class HistoryLoader(TensorLoader):
    """Shuffled rows of the training part: target, user, items before it (right-padded with 0) and their number."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        self._weights, self._lists = config["weight_field"], dataset.impression_lists

    def batch(self, rows: torch.Tensor) -> Interaction:
        batch: Interaction = self.dataset[rows]
        if self._weights:
            batch.update(Interaction({self._weights: self.dataset.interaction_column(self._weights)[rows]}))
        if self._lists is not None:
            batch.update(Interaction({SHOWN: self._lists.list_of_row[rows]}))
        return batch
