"""What was popular lately: the baseline that a temporal split asks for."""

from __future__ import annotations

from typing import Any

import torch
from recbole.model.general_recommender.pop import Pop
from torch import Tensor

from recbole_logq.data.dataset.event_times import UNITS, unit_of
from recbole_logq.errors import RequestError

SECONDS_OF_A_DAY = 86_400.0


class RecentPop(Pop):
    """Items by their training interactions in the last ``recent_days`` before training ends.

    Training ends at the cut of a temporal split, and elsewhere at its latest interaction. Items with as many recent
    interactions are ranked by all of theirs.

    Raises:
        RequestError: The data has no times, or does not count them from 1970 on, so that a day is not known.
    """

    reads_time = True
    """Whether the column of times is loaded whatever the split."""

    def __init__(self, config: Any, dataset: Any) -> None:
        super().__init__(config, dataset)
        rows = dataset.inter_feat
        if dataset.time_field not in rows:
            raise RequestError(
                f"RecentPop reads times, and {config['dataset']} has no column {config['TIME_FIELD']}: name the one "
                "that it has with TIME_FIELD"
            )
        times, items = rows[dataset.time_field].double(), rows[dataset.iid_field]
        unit = unit_of(float(times.max()))
        if unit is None:
            raise RequestError(
                f"recent_days={config['recent_days']}: times of {config['dataset']} do not count from 1970 on, so that "
                "a day is not known in their unit"
            )
        split = getattr(dataset, "temporal_split", None)
        end = float(times.max()) if split is None else split.valid_from
        recent = times >= end - config["recent_days"] * SECONDS_OF_A_DAY / UNITS[unit]
        counts = [torch.bincount(targets, minlength=self.n_items).double() for targets in (items[recent], items)]
        # Below 1, so that it decides between equals alone.
        self.item_cnt = (counts[0] + counts[1] / (counts[1].max() + 1))[:, None].to(self.device)
        self.max_cnt = self.item_cnt.max(dim=0)[0]

    def calculate_loss(self, interaction: Any) -> Tensor:
        """0: there is nothing to learn."""
        return torch.zeros(1, device=self.device, requires_grad=True)
