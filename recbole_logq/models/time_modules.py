"""What two towers read of times, as modules of a model."""

from __future__ import annotations

from typing import Any

from recbole_logq.data.dataset.event_times import UNITS, asks_when, reads_times, unit_of
from recbole_logq.errors import RequestError
from recbole_logq.modules.history_times import HistoryTimes
from recbole_logq.modules.time_context import TimeContext
from recbole_logq.modules.times import logarithmic_edges


def history_times(config: Any, dataset: Any) -> HistoryTimes | None:
    """Vectors and weights of the times of a history; None where a setting asks for none.

    Args:
        config: The checked settings.
        dataset: The training part, whose gaps give the buckets.
    """
    if not reads_times(config):
        return None
    time, n = config["time"], config["time_buckets"]
    gaps, recency = time in ("gaps", "both"), time in ("bias", "both")
    times = HistoryTimes(n, config["embedding_size"], gaps, recency, asks_when(config))
    between, longest = dataset.training_gaps()
    times.buckets.edges = logarithmic_edges(between, longest, n)
    return times


def time_context(config: Any, dataset: Any, std: float) -> TimeContext | None:
    """Vectors of the hour and the weekday of requests; None where there are none. Arguments as above.

    Raises:
        RequestError: The data does not count time from 1970 on, so that an hour is not known.
    """
    parts = config["time_context"]
    if not parts:
        return None
    unit = unit_of(float(dataset.flat_times.max()))
    if unit is None:
        raise RequestError(
            f"time_context={parts}: times of {config['dataset']} do not count from 1970 on, so that neither hour nor "
            "weekday are known; leave it out"
        )
    return TimeContext(parts, UNITS[unit], config["embedding_size"], std)


def check_time_context(values: dict[str, Any]) -> None:
    """Refuse times that two towers cannot read.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    time, parts = values["time"], values["time_context"]
    if time != "none" and values["user_tower"] != "history":
        raise RequestError(f"time={time}: set user_tower=history too, or leave it out")
    if time in ("bias", "both") and values["history_pooling"] != "attention":
        raise RequestError(f"time={time}: set history_pooling=attention too, or time=gaps")
    if not parts:
        return
    if len(set(parts)) < len(parts):
        raise RequestError(f"time_context={parts}: a part stands there twice; keep one")
    if values["request_time"] != "known":
        raise RequestError(f"time_context={parts}: a query must know when it is asked, set request_time=known")
