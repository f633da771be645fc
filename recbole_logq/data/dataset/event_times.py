"""Times of events and of requests, for models that read them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from recbole_logq.errors import RequestError
from recbole_logq.settings import SASRecSettings

# Columns of a batch; names no atomic file uses.
TIMES = "__times"
"""Times of a history's items, after that of the item before them (NaN where there is none): ``[rows, length + 1]``."""
ASKED = "__asked"
"""Time of the request: ``[rows]``."""
AGE = "__age"
"""Age of a training example as a share of the training part's time, from 0 for its latest one to 1: ``[rows]``."""
TOKEN_TIMES = "__token_times"
"""Times of the tokens of windows, as ``TokenTimes`` has them: ``[tokens, 3]``."""

UNITS = {"seconds": 1.0, "milliseconds": 1e-3, "microseconds": 1e-6}
"""Units in which data counts from 1970 on, in seconds."""
_EARLIEST, _LATEST = 3.15e8, 4.1e9  # 1980 and 2100
DEFAULT_BUCKETS: int = SASRecSettings.model_fields["time_buckets"].default


def reads_times(config: Any) -> bool:
    """Whether the model sees when the items of a history were had."""
    return config["time"] not in (None, "none")


def needs_times(config: Any) -> bool:
    """Whether the model sees any times: those of a history, or that of the request alone."""
    return reads_times(config) or bool(config["time_context"])


def keeps_times(config: Any) -> bool:
    """Whether times of interactions are looked at, by the model or to find what came before them."""
    return needs_times(config) or bool(config["second_histories"]) or bool(config["example_age"])


def asks_when(config: Any) -> bool:
    """Whether the model sees when it is asked."""
    return config["request_time"] == "known" and needs_times(config)


def unit_of(latest: float) -> str | None:
    """The one of :data:`UNITS` whose count from 1970 on to ``latest`` ends between 1980 and 2100; None for no such."""
    return next((name for name, seconds in UNITS.items() if _EARLIEST <= latest * seconds < _LATEST), None)


def example_age(times: Tensor) -> Tensor:
    """Ages of examples, as :data:`AGE` has them; float32 ``[rows]``, of times float64 ``[rows]``.

    Raises:
        RequestError: All times are the same.
    """
    latest, span = times.max(), times.max() - times.min()
    if not span:
        raise RequestError("example_age=true: all training rows have the same time; set example_age=false")
    return ((latest - times) / span).float()


def times_before(users: Tensor, times: Tensor) -> Tensor:
    """Time of the event before each event, NaN for a user's first; float64 ``[events]``.

    Args:
        users: User of each event, grouped; int64 ``[events]``.
        times: Time of each event, in order; float64 ``[events]``.
    """
    before = times.roll(1)
    before[:1] = torch.nan
    before[1:][users[1:] != users[:-1]] = torch.nan
    return before


def last_times(times: Tensor, before: Tensor, start: Tensor, end: Tensor, length: int) -> Tensor:
    """Times of the last items of sequences, float64 ``[rows, length + 1]``, right-padded with 0: :data:`TIMES`.

    Args:
        times: Times of all events, float64 ``[events]``.
        before: Result of :func:`times_before`.
        start: Event at which the items of a row begin; int64 ``[rows]``.
        end: Event before which they end; int64 ``[rows]``.
        length: Items of a row at most.
    """
    if not len(times):  # all sequences are empty
        return times.new_zeros(len(start), length + 1)
    position = start[:, None] + torch.arange(length, device=start.device)
    seen = times[position.clamp_max(len(times) - 1)].where(position < end[:, None], 0.0)
    return torch.cat((before[start.clamp_max(len(times) - 1)][:, None], seen), 1)


def training_gaps(users: Tensor, times: Tensor, targets: Tensor) -> tuple[Tensor, float]:
    """Times between events that follow each other in training, float64 ``[targets]``, and a user's longest span.

    Args:
        users: User of each event, grouped; int64 ``[events]``.
        times: Time of each event, in order; float64 ``[events]``.
        targets: Events that are training targets; int64 ``[targets]``. A user's first has no gap.
    """
    first = torch.searchsorted(users, users[targets])
    targets, first = targets[targets > first], first[targets > first]
    longest = float((times[targets] - times[first]).max()) if len(targets) else 0.0
    return times[targets] - times[targets - 1], longest


def check_times(values: dict[str, Any], given: dict[str, Any]) -> None:
    """Refuse settings of time that change nothing, or that the data has no exact times for.

    Args:
        values: The final settings of a model with a setting ``time``, and perhaps ``time_context``.
        given: Settings that the user set.

    Raises:
        RequestError: The settings do not fit each other; one line names what to set instead.
    """
    if values["time"] == "none" and given.get("time_buckets", DEFAULT_BUCKETS) != DEFAULT_BUCKETS:
        raise RequestError(f"time_buckets={given['time_buckets']}: set time=gaps, bias or both too, or leave it out")
    if values["time"] == "none" and not values.get("time_context"):
        return
    key = "time_context" if values["time"] == "none" else "time"
    reader = f"{key}={values[key]}"
    if values["recbole_order"]:
        raise RequestError(f"recbole_order=true with {reader}: RecBole's times are rounded; leave one out")
    if values["TIME_FIELD"] in (values.get("numerical_features") or []):
        raise RequestError(
            f"numerical_features: {reader} reads {values['TIME_FIELD']} as it is in the file, leave it out"
        )
