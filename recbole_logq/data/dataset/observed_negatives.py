"""Interactions that say no: taken out of the positives, kept as negatives for training."""

from __future__ import annotations

from logging import getLogger
from typing import Any

import numpy as np
import pandas as pd
import torch

from recbole_logq.data.dataset.temporal_split import is_temporal
from recbole_logq.errors import RequestError


def observed_field(config: Any) -> str | None:
    """The column that ``negatives.source=observed`` judges interactions by; None for other sources."""
    negatives = (config.get("negatives") if isinstance(config, dict) else config["negatives"]) or {}
    return str(negatives.get("field", "label")) if negatives.get("source") == "observed" else None


def refused(rows: pd.DataFrame, config: Any) -> np.ndarray:
    """Which interactions say no, bool ``[rows]``; one without a value does not."""
    return np.asarray(rows[observed_field(config)].to_numpy() < below(config))


def below(config: Any) -> float:
    """Values under it say no."""
    return float(config["negatives"].get("below", 0.5))


class ObservedNegatives:
    """Rows with a low value in a column, parted from the others.

    Filters by number of interactions have counted both kinds. An interaction without a value is a positive.

    Args:
        dataset: Dataset with ids in place and floats not yet normalised; it is not changed.
        field: The column.

    Raises:
        RequestError: No such column of numbers, or nothing is left on one of the sides.

    Attributes:
        positives: The other rows, numbered anew.
    """

    def __init__(self, dataset: Any, field: str) -> None:
        rows, limit = dataset.inter_feat, below(dataset.config)
        label = f"negatives.source=observed, field={field}: {dataset.dataset_name}"
        if field not in rows:
            raise RequestError(
                f"{label} has no such column (labels that RecBole makes by threshold are none); set "
                "--negatives.field=COLUMN --negatives.below=VALUE"
            )
        if not np.issubdtype(rows[field].dtype, np.floating):
            raise RequestError(f"{label} has no numbers in it: declare it as {field}:float in the header")
        low = refused(rows, dataset.config)
        if low.all() or not low.any():
            raise RequestError(
                f"{label} has {'only' if low.all() else 'no'} values below {limit:g}, from {rows[field].min():g} to "
                f"{rows[field].max():g}; set --negatives.below=VALUE"
            )
        columns = [dataset.uid_field, dataset.iid_field]
        self._users, self._items = (torch.from_numpy(rows[name].to_numpy(np.int64)[low]) for name in columns)
        self._times = None
        if dataset.config["eval_args"]["order"] == "TO":
            self._times = torch.from_numpy(rows[dataset.time_field].to_numpy(np.float64)[low])
        self.positives = rows[~low].reset_index(drop=True)
        getLogger().info(f"{int(low.sum()):,} of {len(rows):,} interactions have {field} below {limit:g}: negatives")

    def before(self, dataset: Any, held_out: list[Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Users and items of the negatives that training may know.

        Ordered by time, those before a user's first interaction that is held out (or before the temporal split's first
        cut); under a random split, where nothing comes before anything, all.

        Args:
            dataset: The whole.
            held_out: Validation and test part.

        Raises:
            RequestError: No observed negative lies before its user's first held-out target.
        """
        known = before_held_out(dataset, held_out, self._users, self._times)
        users, items = self._users[known], self._items[known]
        getLogger().info(f"training knows {len(users):,} of them")
        if not len(users):
            raise RequestError(
                "negatives.source=observed: no observed negative lies before its user's first held-out target, so "
                "there is nothing to train on; take another source"
            )
        return users, items


def before_held_out(dataset: Any, held_out: list[Any], users: torch.Tensor, times: torch.Tensor | None) -> torch.Tensor:
    """Which events training may know: those before the user's first interaction that is held out, bool ``[events]``.

    Args:
        dataset: The whole, split.
        held_out: Validation and test part.
        users: int64 ``[events]``.
        times: float64 ``[events]``; None where nothing comes before anything, and all are known.
    """
    if times is None:
        return torch.ones_like(users, dtype=torch.bool)
    if is_temporal(dataset.config["eval_args"]):
        known: torch.Tensor = times < dataset.temporal_split.valid_from
        return known
    first = torch.full((dataset.user_num,), torch.inf, dtype=torch.float64)
    for part in held_out:
        first.scatter_reduce_(
            0, part.inter_feat[dataset.uid_field], part.inter_feat[dataset.time_field].double(), "amin"
        )
    return times < first[users]
