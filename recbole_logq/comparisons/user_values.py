"""A metric of each user: out of the rows of a ranking, and of several runs side by side, joined by the users' names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.experiment.run_store import Record

Runs = Mapping[int, Record]
"""The records of a model by seed."""


def mean_by_user(values: Tensor, users: Tensor) -> Tensor:
    """The mean of each user's rows: a row is a target where a sequential model has several of a user.

    Targets of a user are not independent, so a test over users needs one value of each.

    Args:
        values: Floating ``[rows]``.
        users: int64 ``[rows]``.

    Returns:
        float64 ``[users]``, in the order of ``users.unique()``.
    """
    unique, row_of = torch.unique(users, return_inverse=True)
    total = torch.zeros(len(unique), dtype=torch.float64).index_add_(0, row_of, values.double())
    return total / torch.bincount(row_of, minlength=len(unique))


class CommonUsers:
    """The test users of several models, whose values are put in one order.

    Args:
        models: The records of each model; all have the same seeds, and values of users.

    Attributes:
        users: Users that are tested under every seed.
        left_out: Number of the other users; a random split may test a user under some seeds only.

    Raises:
        RequestError: Two models have different users under one seed.
    """

    def __init__(self, models: Mapping[str, Runs]) -> None:
        first = next(iter(models.values()))
        self._seeds = list(first)
        tested = {seed: set(record["users"]) for seed, record in first.items()}
        for runs in models.values():
            for seed, record in first.items():
                own = runs[seed]["users"]
                if own != record["users"] and set(own) != tested[seed]:
                    raise RequestError(_difference(record, runs[seed]))
        common = set.intersection(*tested.values())
        self.users = [user for user in first[self._seeds[0]]["users"] if user in common]
        self.left_out = len(set.union(*tested.values())) - len(common)

    def matrix(self, runs: Runs, metric: str) -> NDArray[np.float64]:
        """A metric of :attr:`users`, float64 ``[seeds, users]``.

        Raises:
            RequestError: A record has no values of it.
        """
        rows = []
        for record in (runs[seed] for seed in self._seeds):
            if metric not in record["per_user"]:
                raise RequestError(f"{_label(record)} has no {metric} of its users, which others have")
            value = dict(zip(record["users"], record["per_user"][metric], strict=True))
            rows.append([value[user] for user in self.users])
        return np.array(rows, dtype=np.float64)


def _difference(first: Record, second: Record) -> str:
    extra = sorted(set(first["users"]) - set(second["users"])) or sorted(set(second["users"]) - set(first["users"]))
    owner = first if extra[0] in first["users"] else second
    return (
        f"{_label(first)} has {len(first['users']):,} test users and {_label(second)} {len(second['users']):,}, which "
        f"are not the same: {extra[0]!r} is one of {_label(owner)} alone; run both on one copy of the data, with the "
        "same filters"
    )


def _label(record: Record) -> str:
    return f"{record['name']} (seed {record['seed']})"


def users_and_values(
    rows: Mapping[str, Tensor], users: Tensor, names: Sequence[Any]
) -> tuple[list[str], dict[str, list[float]]]:
    """What a record keeps of its users.

    Args:
        rows: Metrics by name, ``[rows]``.
        users: User of each row, int64 ``[rows]``.
        names: The data's name of every user, by id.

    Returns:
        Users, and their metrics in the same order, to five digits.
    """
    return (
        [str(names[user]) for user in users.unique().tolist()],
        {name: [round(value, 5) for value in mean_by_user(values, users).tolist()] for name, values in rows.items()},
    )
