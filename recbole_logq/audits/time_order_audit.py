"""What a dataset's test set really is: sizes, ties, order, leakage, what filters take away."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from recbole.data.dataset import Dataset

from recbole_logq.config import Config
from recbole_logq.data.dataset.exact_time import ExactTimeMixin
from recbole_logq.data.prepare import create_dataset, fetch, header_of
from recbole_logq.errors import RequestError

Section = dict[str, Any]
LAST_OUT = {"LS": "valid_and_test"}

_FILTERS = {
    "_filter_nan_user_or_item": "missing ids",
    "_remove_duplication": "rm_dup_inter",
    "_filter_by_field_value": "val_interval",
    "_filter_inter_by_user_or_item": "not in .user or .item",
    "_filter_by_inter_num": "..._inter_num_interval",
}


READ = frozenset(
    {"dataset", "data_path", "encoding", "field_separator", "seq_separator", "load_col", "unload_col", "recbole_order"}
    | {"USER_ID_FIELD", "ITEM_ID_FIELD", "TIME_FIELD", "alias_of_user_id", "alias_of_item_id", "seq_len"}
    | {"grade_field", "rm_dup_inter", "val_interval", "filter_inter_by_user_or_item", "additional_feat_suffix"}
    | {"user_inter_num_interval", "item_inter_num_interval", "normalize_field", "normalize_all", "numerical_features"}
    | {"state", "show_progress"}
)
"""Settings that an audit follows, or that every command takes."""


class _RecordedDataset(ExactTimeMixin, Dataset):
    """Counts what is left after each of RecBole's filters."""

    def __init__(self, config: Any) -> None:
        self.steps: list[Section] = []
        self.positions = False
        super().__init__(config)

    def _data_filtering(self) -> None:
        self._record("as read")
        rows = self.inter_feat
        # Judged before filters, which leave gaps: positions of different users say nothing about before and after.
        self.positions = self.time_field in rows and bool(
            (rows[self.time_field] == rows.groupby(self.uid_field, observed=True).cumcount() + 1).all()
        )
        super()._data_filtering()

    def _fill_nan(self) -> None:
        super()._fill_nan()
        if self.config["grade_field"]:
            self._record("skips by grade_field")

    def _record(self, name: str) -> None:
        rows = self.inter_feat
        remaining = {
            "interactions": len(rows),
            "users": rows[self.uid_field].nunique(),
            "items": rows[self.iid_field].nunique(),
        }
        before = self.steps[-1] if self.steps else remaining
        lost = {f"lost {key}": before[key] - remaining[key] for key in remaining}
        self.steps.append({"filter": name, **remaining, **lost})


def _recorded(method: str, title: str) -> Any:
    def filtered(self: _RecordedDataset) -> None:
        getattr(super(_RecordedDataset, self), method)()
        self._record(title)

    return filtered


for _method, _title in _FILTERS.items():
    setattr(_RecordedDataset, _method, _recorded(_method, _title))


def audit(
    dataset: str, config_file_list: list[str] | None = None, config_dict: dict[str, Any] | None = None
) -> Section:
    """Look at a dataset under the given filters and leave-one-out.

    Args:
        dataset: Its name.
        config_file_list: YAML files with filters, ``data_path``, field names.
        config_dict: Settings that win over them.

    Returns:
        ``dataset`` and the sections ``filters``, ``size``, ``popularity``, ``repeats`` and, where there are times,
        ``time``, ``order``, ``leakage``, each name to value; shares are between 0 and 1.

    Raises:
        RequestError: The dataset cannot be read with these settings.
    """
    # No ranking takes place, so the smallest cut-off fits every dataset.
    settings = {"show_progress": False, "topk": [1], "valid_metric": "MRR@1", **(config_dict or {})}
    for key in settings:
        if key.split(".")[0] in {"eval_args", "model"}:
            raise RequestError(f"{key}: an audit is about the data under leave-one-out, without a model; leave it out")
    config = Config("Pop", dataset, config_file_list, settings, training=False)
    if config["benchmark_filename"] is not None:
        raise RequestError(
            "benchmark_filename: an audit is about one file of interactions under leave-one-out, and a ready-made "
            "split is another; leave it out"
        )
    _check_keys(config, set(settings) - set(config_dict or {}))
    fetch(config)
    timed = config["TIME_FIELD"] in header_of(config)
    if not timed and "TIME_FIELD" in settings:
        raise RequestError(f"TIME_FIELD={config['TIME_FIELD']}: {dataset} has columns {', '.join(header_of(config))}")
    if timed:
        by_time = {"eval_args": {"split": LAST_OUT, "order": "TO"}}
        config = Config("Pop", dataset, config_file_list, {**settings, **by_time}, training=False)
    data = create_dataset(config, _RecordedDataset)
    rows = pd.DataFrame(
        {
            "user": data.inter_feat[data.uid_field].to_numpy(),
            "item": data.inter_feat[data.iid_field].to_numpy(),
        }
    )
    report: Section = {"dataset": dataset, "filters": data.steps}
    report |= {"size": _size(rows), "popularity": _popularity(rows), "repeats": _repeats(rows)}
    if timed:
        rows["time"] = data.inter_feat[data.time_field].to_numpy(np.float64)
        normalized = bool(config["normalize_all"]) or data.time_field in (config["normalize_field"] or [])
        report["time"] = _time(rows, data.positions)
        report["order"] = _order(rows, normalized)
        report["leakage"] = _leakage(rows, data.positions)
    return report


def _check_keys(config: Any, own: set[str]) -> None:
    # Files too: what is in them and has no part in an audit would look as if it had.
    for key, value in config.given().items():
        if key in READ or key in own:
            continue
        if key == "eval_args" and value.get("split", LAST_OUT) == LAST_OUT and value.get("order", "TO") == "TO":
            continue
        raise RequestError(
            f"{key}: an audit is about the data under leave-one-out, and nothing is trained; leave it out"
        )


def _size(rows: pd.DataFrame) -> Section:
    users, items = rows["user"].nunique(), rows["item"].nunique()
    per_user = rows["user"].value_counts()
    return {
        "interactions": len(rows),
        "users": users,
        "items": items,
        "density": len(rows) / (users * items),
        "interactions of a user, smallest": int(per_user.min()),
        "interactions of a user, median": float(per_user.median()),
        "interactions of a user, largest": int(per_user.max()),
        "users with fewer than 3 interactions (too short for leave-one-out; sequential models need 4)": int(
            (per_user < 3).sum()
        ),
    }


def _popularity(rows: pd.DataFrame) -> Section:
    counts = np.sort(rows["item"].value_counts().to_numpy())[::-1]
    top = max(1, round(len(counts) * 0.01))
    rank = np.arange(1, len(counts) + 1)
    gini = 1 - (2 * (counts.cumsum() / counts.sum()).sum() - 1) / len(counts)
    return {
        "interactions of the most popular item": int(counts[0]),
        "share of the 1 % most popular items": float(counts[:top].sum() / counts.sum()),
        "Gini index of item counts": float(abs(gini)),
        "items with one interaction": int((counts == 1).sum()),
        "items for half of the interactions": int(rank[np.searchsorted(counts.cumsum(), counts.sum() / 2)]),
    }


def _repeats(rows: pd.DataFrame) -> Section:
    again = rows.duplicated(["user", "item"])
    return {
        "interactions with an item the user had before": int(again.sum()),
        "share": float(again.mean()),
        "users who have any": int(rows.loc[again, "user"].nunique()),
    }


def _time(rows: pd.DataFrame, positions: bool) -> Section:
    first, last = rows["time"].min(), rows["time"].max()
    return {
        "times are positions in the user's sequence, not moments": "yes" if positions else "no",
        "first": _moment(first),
        "last": _moment(last),
        "distinct times": int(rows["time"].nunique()),
        "one step of float32 at the last time": float(np.spacing(np.float32(last))),
    }


def _mean(values: Any) -> float | None:
    return float(values.mean()) if len(values) else None


def _moment(value: float) -> str:
    if 1e8 < value < 1e11:
        return f"{value:.15g} ({pd.Timestamp(value, unit='s'):%Y-%m-%d %H:%M:%S} UTC)"
    return f"{value:.15g}"


def _order(rows: pd.DataFrame, normalized: bool) -> Section:
    times = rows["time"].to_numpy()
    spread = times.max() - times.min()
    # What RecBole sorts by; its settings of ml-100k bring times to [0, 1] first, where float32 is finer.
    their_times = ((times - times.min()) / (spread or 1.0) if normalized else times).astype(np.float32)
    exact = rows.iloc[np.lexsort((times, rows["user"]))]
    theirs = rows.iloc[np.lexsort((their_times, rows["user"]))]
    ends = exact.groupby("user", sort=True, observed=True)["time"].size().cumsum().to_numpy()
    per_user = np.diff(ends, prepend=0)
    facts: Section = {}
    for name, back, least in (("test", 1, 2), ("validation", 2, 3)):
        at = (ends - back)[per_user >= least]
        time, item = exact["time"].to_numpy(), exact["item"].to_numpy()
        their_time, their_item = theirs["time"].to_numpy(), theirs["item"].to_numpy()
        tie = time[at] == time[at - 1]
        facts |= {
            f"{name} items": len(at),
            f"{name} items decided by file order (a tie right before)": _mean(tie),
            f"{name} items that differ in RecBole's order": _mean(item[at] != their_item[at]),
            f"{name} items that are too early in RecBole's order": _mean(their_time[at] < time[at]),
        }
    return facts


def _leakage(rows: pd.DataFrame, positions: bool) -> Section:
    exact = rows.iloc[np.lexsort((rows["time"], rows["user"]))].reset_index(drop=True)
    from_end = exact.groupby("user", observed=True).cumcount(ascending=False)
    size = exact.groupby("user", observed=True)["user"].transform("size")
    test = (from_end == 0) & (size >= 2)
    valid = (from_end == 1) & (size >= 3)
    training = exact[~test & ~valid]
    targets = exact[test]
    facts: Section = {}
    if not positions:
        times = np.sort(training["time"].to_numpy())
        later = len(times) - np.searchsorted(times, targets["time"].to_numpy(), side="right")
        facts = {
            "test items earlier than some training interaction": _mean(later > 0),
            "training interactions later than a test item, on average": _mean(later / len(times)),
        }
    cold = ~targets["item"].isin(set(training["item"]))
    return facts | {
        "cold test items (no training interaction)": int(cold.sum()),
        "share of cold test items": _mean(cold),
    }
