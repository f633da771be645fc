"""Graded interactions: what was shown and skipped is taken out of the positives, and known by its impression.

An impression is what one user was shown at once: a request, a page, a session. Rows of the same value of
``impression_field`` and the same user belong to one. ``grade_field`` says what came of each: rows with a grade of 0 or
less are skips, those above are positives.
"""

from __future__ import annotations

from dataclasses import dataclass
from logging import getLogger
from typing import Any

import numpy as np
import pandas as pd
import torch
from recbole.utils import FeatureType

from recbole_logq.data.dataset.observed_negatives import before_held_out
from recbole_logq.data.source.header import declared, interaction_files
from recbole_logq.errors import RequestError

# Which list of lower-graded items a training row has; a name no atomic file uses.
SHOWN = "__shown"
_LISTED = 8
"""Grades that are counted one by one in the log; more are no grades but measurements."""
_SMALLEST, _LARGEST = float(np.finfo(np.float32).tiny), float(np.finfo(np.float32).max)
"""Bounds of grades, which training has in float32."""


@dataclass(frozen=True)
class ImpressionLists:
    """What training rows were set against by their impressions, as ``GradedLists`` takes it.

    Attributes:
        list_of_row: int64 ``[training rows]``, the list of each.
        start, size: int64 ``[lists]``, where a list begins in ``items``, and its number of items.
        grade: Float ``[lists]``, grade of the rows that have it; all of its items have lower ones.
        items: int64 ``[n]``, by impression, then grade.
        grades: Float ``[n]``.
    """

    list_of_row: torch.Tensor
    start: torch.Tensor
    size: torch.Tensor
    grade: torch.Tensor
    items: torch.Tensor
    grades: torch.Tensor


def check_graded(values: dict[str, Any]) -> None:
    """Refuse settings that grades do not go with.

    Args:
        values: The final settings.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    field = values.get("grade_field")
    if not field:
        return
    setting = f"grade_field={field}"
    if values.get("benchmark_filename") is not None:
        raise RequestError(
            f"benchmark_filename with {setting}: skips cannot be taken out of a ready-made split; give one .inter file "
            "and a split in eval_args"
        )
    if values["recbole_order"]:
        raise RequestError(
            f"recbole_order=true with {setting}: which skips came before a target needs the exact time; leave it out"
        )
    for name in (field, values.get("impression_field"), values["TIME_FIELD"]):
        if name in (values.get("numerical_features") or []):
            raise RequestError(f"numerical_features: {setting} needs {name} as it is in the file, leave it out")
    if (values.get("negatives") or {}).get("source") == "observed":
        raise RequestError(
            f"negatives.source=observed with {setting}: skips are taken out of the positives by their grade, and a "
            "second column says no; set negatives.source=impression, or leave grade_field out"
        )


def check_grades(dataset: Any, field: str, impression_field: str | None) -> None:
    """Refuse grades that say nothing, before anything is filtered by them, and impressions that are none.

    Raises:
        RequestError: No such column, one of another type, a row without a grade, or grades of one kind alone.
    """
    rows, label = dataset.inter_feat, f"grade_field={field}: {dataset.dataset_name}"
    if field not in rows:
        raise RequestError(f"{label} has no such column in its .inter file; it has {_columns(dataset)}")
    if dataset.field2type[field] != FeatureType.FLOAT:
        raise RequestError(f"{label} has no numbers in it: declare it as {field}:float in the header")
    if impression_field is not None:
        _check_impressions(dataset, impression_field)
    grades = rows[field].to_numpy(np.float64)
    if not np.isfinite(grades).all():
        missing = int((~np.isfinite(grades)).sum())
        raise RequestError(f"{label} has {missing:,} rows without a finite grade: give them one, such as 0 for a skip")
    if len(far := grades[(grades > _LARGEST) | ((grades > 0) & (grades < _SMALLEST))]):
        raise RequestError(
            f"{label} has {len(far):,} grades such as {far[0]:g}, which training cannot tell from 0 or infinity: give "
            f"positives grades from {_SMALLEST:.2g} to {_LARGEST:.2g}"
        )
    if grades.min() == grades.max():
        raise RequestError(
            f"{label} has one grade alone, {grades[0]:g}: nothing was skipped and nothing is graded lower"
        )
    if grades.max() <= 0:
        raise RequestError(f"{label} has no grade above 0, and rows of 0 or less are skips: nothing is a positive")


def _check_impressions(dataset: Any, field: str) -> None:
    label = f"impression_field={field}: {dataset.dataset_name}"
    if field not in dataset.inter_feat:
        raise RequestError(f"{label} has no such column in its .inter file; it has {_columns(dataset)}")
    if (kind := dataset.field2type[field]) != FeatureType.TOKEN:
        raise RequestError(f"{label} has it as {kind.value}: declare it as {field}:token in the header")


def _columns(dataset: Any) -> str:
    return ", ".join(declared(interaction_files(dataset.config)[0], dataset.config))


def skipped(rows: pd.DataFrame, field: str) -> np.ndarray:
    """Which interactions are skips, bool ``[rows]``."""
    return np.asarray(rows[field].to_numpy() <= 0)


class Impressions:
    """Skips, parted from the positives, and the impressions of both.

    Args:
        dataset: Dataset with ids in place and floats not yet normalised; it is not changed.
        grade_field: Column of grades.
        impression_field: Column of impressions; None where skips are taken out alone.

    Raises:
        RequestError: The impressions have no pair of a higher and a lower grade.

    Attributes:
        positives: The other rows, numbered anew.
    """

    def __init__(self, dataset: Any, grade_field: str, impression_field: str | None) -> None:
        rows, self._grade, self._impression = dataset.inter_feat, grade_field, impression_field
        self._timed = dataset.config["eval_args"]["order"] == "TO"
        _say_grades(rows[grade_field], dataset.dataset_name)
        skips = rows[skipped(rows, grade_field)]
        self.positives = rows[~skipped(rows, grade_field)].reset_index(drop=True)
        if impression_field is None:
            return
        keys = [dataset.uid_field, impression_field]
        known = rows[rows[impression_field] != 0]  # what has no impression has the padding id
        by_impression = known.groupby(keys, sort=False, observed=True)
        label = f"impression_field={impression_field}"
        if known.empty:
            raise RequestError(f"{label}: no row of {dataset.dataset_name} has an impression, the column is empty")
        if by_impression[dataset.iid_field].nunique().max() < 2:
            raise RequestError(
                f"{label}: every impression of {dataset.dataset_name} has one item alone, and rows of one impression "
                "share their user and this column; name the column of the request, the page or the session"
            )
        if (by_impression[grade_field].nunique() < 2).all():
            raise RequestError(
                f"{label}: within every impression of {dataset.dataset_name} all grades are equal, so that nothing is "
                "graded lower than a positive; take another source of negatives"
            )
        self._ids = [torch.from_numpy(skips[name].to_numpy(np.int64)) for name in (*keys, dataset.iid_field)]
        self._grades = torch.from_numpy(skips[grade_field].to_numpy(np.float64))
        self._times = torch.from_numpy(skips[dataset.time_field].to_numpy(np.float64)) if self._timed else None

    def lists(self, dataset: Any, training: Any, held_out: list[Any]) -> ImpressionLists | None:
        """What is graded lower than each training row in its impression, of what training may know.

        Known are training rows, and skips before the user's first interaction that is held out (or before the temporal
        split's first cut); under a random split, where nothing comes before anything, all skips. Of several rows of an
        item in an impression the highest grade counts, and none where one of them is held out.

        Args:
            dataset: The whole.
            training: Training part.
            held_out: Validation and test part.

        Returns:
            The lists; None without a column of impressions.

        Raises:
            RequestError: No training row has anything graded lower in its impression.
        """
        if self._impression is None:
            return None
        table = training.inter_feat
        users, impressions, items = (table[name] for name in (dataset.uid_field, self._impression, dataset.iid_field))
        grades = table[self._grade].double()
        known = before_held_out(dataset, held_out, self._ids[0], self._times)
        rows = np.stack([column.numpy() for column in (users, impressions, items)])
        # Of a held-out target no other row of its impression counts either.
        names = (dataset.uid_field, self._impression, dataset.iid_field)
        keys = pd.MultiIndex.from_arrays([ids.numpy() for ids in self._ids])
        for part in held_out:
            targets = pd.MultiIndex.from_arrays([part.inter_feat[name].numpy() for name in names])
            known &= torch.from_numpy(~keys.isin(targets))
        skips = np.stack([column[known].numpy() for column in self._ids])
        lists = _lists(rows, grades.numpy(), skips, self._grades[known].numpy())
        self._say(lists, int(known.sum()), len(known))
        if not len(lists.size) or int(lists.size.max()) == 0:
            raise RequestError(
                f"impression_field={self._impression}: no training row has anything graded lower in its impression "
                "that lies before its user's first held-out target; take another source of negatives"
            )
        return lists

    @staticmethod
    def _say(lists: ImpressionLists, known: int, skips: int) -> None:
        sizes = lists.size[lists.list_of_row]
        having = sizes > 0
        average = f", {sizes[having].double().mean():.1f} on average" if having.any() else ""
        getLogger().info(
            f"training knows {known:,} of {skips:,} skips; {int(having.sum()):,} of {len(sizes):,} training rows have "
            f"lower-graded items in their impression{average}"
        )


def _lists(rows: np.ndarray, grades: np.ndarray, skips: np.ndarray, of_skips: np.ndarray) -> ImpressionLists:
    """Lists of lower grades; rows and skips are int64 ``[3, n]`` of user, impression and item."""
    user, impression, item = np.concatenate([rows, skips], axis=1)
    all_grades = np.concatenate([grades, of_skips])
    key = user * (impression.max(initial=0) + 1) + impression
    # Highest grade first among the rows of an item in an impression, and that one alone.
    order = np.lexsort((-all_grades, item, key))
    first = np.ones(len(order), dtype=bool)
    first[1:] = (key[order][1:] != key[order][:-1]) | (item[order][1:] != item[order][:-1])
    order = order[first]
    order = order[np.lexsort((all_grades[order], key[order]))]
    order = order[impression[order] != 0]
    # One number a pair of impression and grade, ascending as the order is: what lies below is found by search.
    values, code = np.unique(all_grades, return_inverse=True)
    number = np.unique(key, return_inverse=True)[1]
    place = number * len(values) + code
    n = len(grades)
    begin = np.searchsorted(place[order], number[:n] * len(values))
    size = np.searchsorted(place[order], place[:n]) - begin
    size[impression[:n] == 0] = 0
    begin[size == 0] = 0
    lists, list_of_row = np.unique(np.stack([begin, size, code[:n]]), axis=1, return_inverse=True)
    whole_numbers = (list_of_row.reshape(-1), lists[0], lists[1], item[order])
    rows_list, start, sizes, ids = (torch.from_numpy(np.ascontiguousarray(n, dtype=np.int64)) for n in whole_numbers)
    grade, of_items = (torch.from_numpy(column.astype(np.float32)) for column in (values[lists[2]], all_grades[order]))
    return ImpressionLists(rows_list, start, sizes, grade, ids, of_items)


def _say_grades(grades: pd.Series, name: str) -> None:
    counts = grades[grades > 0].value_counts().sort_index()
    above = ", ".join(f"{count:,} with {grade:g}" for grade, count in counts.items())
    if len(counts) > _LISTED:
        above = f"{int(counts.sum()):,} with grades from {counts.index[0]:g} to {counts.index[-1]:g}"
    skips = int((grades <= 0).sum())
    getLogger().info(f"{len(grades):,} rows of {name}: {skips:,} skips, which are no positives, and {above}")
