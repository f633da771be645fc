"""The global temporal split: train before a moment, validate and test after it, as in Time to Split (arXiv 2507.16289).

Everything that training may know comes from before the first cut: k-core filters count there, and with ``unseen: drop``
users and items without a training interaction leave the data before ids are given, so that no ranking knows of them.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import numpy as np
import pandas as pd
import torch

from recbole_logq.errors import RequestError

TARGETS = ("last", "first", "all")
UNSEEN = ("drop", "keep")


def is_temporal(eval_args: dict[str, Any]) -> bool:
    """Whether ``eval_args`` asks for this split."""
    return isinstance(eval_args.get("split"), dict) and "GTS" in eval_args["split"]


def check_temporal(eval_args: dict[str, Any]) -> None:
    """Refuse what cannot be meant.

    Raises:
        RequestError: The cuts, the targets or the rule for the unseen make no sense.
    """
    if len(eval_args["split"]) > 1:
        raise RequestError(f"eval_args.split={eval_args['split']!r}: one way to split, not several")
    split = eval_args["split"]["GTS"]
    hint = "give shares, GTS: [0.8, 0.1, 0.1], or the two moments where validation and test begin, such as dates"
    if not isinstance(split, list) or len(split) not in (2, 3):
        raise RequestError(f"eval_args.split.GTS={split!r}: {hint}")
    if len(split) == 3:
        if not all(isinstance(share, int | float) and 0 < share < float("inf") for share in split):
            raise RequestError(f"eval_args.split.GTS={split!r}: {hint}; shares are above 0")
    elif not _moment(split[0]) < _moment(split[1]):
        raise RequestError(f"eval_args.split.GTS={split!r}: validation begins before test")
    for key, allowed in (("targets", TARGETS), ("unseen", UNSEEN)):
        if eval_args.get(key, allowed[0]) not in allowed:
            raise RequestError(f"eval_args.{key}={eval_args[key]!r}: one of {', '.join(allowed)}")


def _moment(value: Any) -> float:
    """Seconds since 1970 of a number or an ISO 8601 date (UTC where it names no zone)."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    try:
        parsed = datetime.fromisoformat(str(value))
    except ValueError as error:
        raise RequestError(f"eval_args.split.GTS: {value!r} is neither a number nor a date like 2000-12-31") from error
    return (parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)).timestamp()


class TemporalSplit:
    """The two cuts on one dataset's times, and what the split left out.

    Args:
        eval_args: ``eval_args``, checked by :func:`check_temporal`.
        times: Times of all interactions, in seconds when the cuts are dates; float64 ``[interactions]``.

    Attributes:
        counts: Interactions left out, by reason; filled by :meth:`seen` and :meth:`parts`.
    """

    def __init__(self, eval_args: dict[str, Any], times: np.ndarray) -> None:
        self.targets: str = eval_args.get("targets", "last")
        self.unseen: str = eval_args.get("unseen", "drop")
        self.counts: dict[str, int] = {}
        split = eval_args["split"]["GTS"]
        if len(split) == 2:
            self.valid_from, self.test_from = map(_moment, split)
        else:
            ordered, shares = np.sort(times), np.cumsum(split)[:2] / np.sum(split)
            # Ties at a cut go to the later part as a whole, so nothing at or after the cut is trained on.
            last = len(ordered) - 1
            self.valid_from, self.test_from = (float(ordered[min(int(share * len(ordered)), last)]) for share in shares)

    def seen(
        self, before: pd.DataFrame, later: pd.DataFrame, training: pd.DataFrame, user: str, item: str
    ) -> pd.DataFrame:
        """The rows after the first cut that stay.

        Args:
            before: Interactions before the first cut.
            later: Interactions from the first cut on.
            training: Interactions before the first cut that the filters left.
            user: Name of the user column.
            item: Name of the item column.
        """
        for field, name in ((user, "users"), (item, "items")):
            known = later[field].isin(training[field].unique())
            if self.unseen == "keep":  # what is new stays, what a filter took out does not come back
                known |= ~later[field].isin(before[field].unique())
            reason = "without training interactions" if self.unseen == "drop" else "that a filter took out"
            self.counts[f"of {name} {reason}"] = int((~known).sum())
            later = later[known]
        return later

    def parts(self, times: torch.Tensor, users: torch.Tensor, position: torch.Tensor) -> list[torch.Tensor]:
        """Row indices of training, validation and test.

        Args:
            times: float64 ``[rows]``.
            users: int64 ``[rows]``.
            position: Places that grow with time within a user; int64 ``[rows]``.
        """
        valid = ((times >= self.valid_from) & (times < self.test_from)).nonzero().flatten()
        test = (times >= self.test_from).nonzero().flatten()
        training = (times < self.valid_from).nonzero().flatten()
        chosen = [self._choose(rows, users, position) for rows in (valid, test)]
        left_out = len(valid) + len(test) - sum(map(len, chosen))
        self.counts[f"not the user's {self.targets} of its part"] = left_out
        return [training, *chosen]

    def _choose(self, rows: torch.Tensor, users: torch.Tensor, position: torch.Tensor) -> torch.Tensor:
        if self.targets == "all":
            return rows
        owner, at = users[rows], position[rows]
        reduction = "amax" if self.targets == "last" else "amin"
        best = torch.zeros(int(owner.max()) + 1 if len(owner) else 0, dtype=torch.int64)
        best = best.scatter_reduce(0, owner, at, reduction, include_self=False)
        return rows[at == best[owner]]

    def __str__(self) -> str:
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in self.counts.items() if count)
        return (
            f"temporal split: trained before {_readable(self.valid_from)}, tested from {_readable(self.test_from)} on, "
            f"targets: {self.targets}; left out: {left_out or 'nothing'}"
        )


def _readable(moment: float) -> str:
    if not 1e8 < moment < 1e11:
        return f"{moment:.15g}"
    return f"{moment:.15g} ({datetime.fromtimestamp(moment, UTC):%Y-%m-%d %H:%M:%S} UTC)"
