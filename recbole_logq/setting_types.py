"""Types of settings: numbers within bounds, however they are written, and choices."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from recbole_logq.allowed_values import Allowed
from recbole_logq.data.dataset.value_intervals import parse_intervals
from recbole_logq.numerals import as_number


def read_number(value: Any) -> Any:
    """A number, however it is written; true and false, which are numbers to Python, are none: `epochs: yes`."""
    if isinstance(value, bool):
        raise ValueError("expected a number, not true/false")
    return as_number(value)


def _none_as_null(value: Any) -> Any:
    # The word and YAML's null are the same wish.
    return None if value == "none" else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _interval(value: Any) -> Any:
    parse_intervals(value)
    return value


def _three_parts(names: list[str]) -> list[str]:
    if len(names) != 3:
        raise ValueError(
            "three names, of the training, the validation and the test part (a part's file may hold no rows)"
        )
    return names


def _level(value: Any) -> Any:
    if value is not None and str(value).upper() not in LEVELS:
        raise ValueError(f"one of {', '.join(LEVELS)}")
    return value


LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""What ``state`` may be, in any case; another word would be taken for INFO."""

# Beyond 2^53 no size of anything is meant, and torch would say so in the middle of the work.
Count = Annotated[int, BeforeValidator(read_number), Field(ge=1, le=2**53)]
CountOrZero = Annotated[int, BeforeValidator(read_number), Field(ge=0, le=2**53)]
Positive = Annotated[float, BeforeValidator(read_number), Field(gt=0, allow_inf_nan=False)]
PositiveOrZero = Annotated[float, BeforeValidator(read_number), Field(ge=0, allow_inf_nan=False)]
Interval = Annotated[str, BeforeValidator(_interval), Allowed('interval such as "[5,inf)"')]
Share = Annotated[float, BeforeValidator(read_number), Field(ge=0, lt=1)]
Seed = Annotated[int, BeforeValidator(read_number), Field(ge=0, lt=2**32)]
TextBucketCount = Annotated[int, BeforeValidator(read_number), Field(ge=1, le=2**31 - 2)]
TextLength = Annotated[int, BeforeValidator(read_number), Field(ge=1, le=2**16)]
TimeBucketCount = Annotated[int, BeforeValidator(read_number), Field(ge=3, le=1024)]
Learner = Annotated[Literal["adam", "adamw", "sgd", "adagrad", "rmsprop", "sparse_adam"], BeforeValidator(_lower)]
LogLevel = Annotated[str | None, BeforeValidator(_level), Allowed(", ".join(LEVELS))]
OwnItems = Annotated[Literal["window", "history"] | None, BeforeValidator(_none_as_null)]
# Choices that an exported folder states too (serving/description.py).
Similarity = Literal["dot", "cosine"]
TemperatureMode = Literal["fixed", "learned", "scheduled"]
Block = Literal["classic", "ligr", "hstu"]
Norm = Literal["pre", "post"]
FeedForward = Literal["gelu", "relu", "swiglu"]
Positions = Literal["learned", "rotary", "relative", "none"]
Parts = Annotated[list[str], AfterValidator(_three_parts), Allowed("list of three names")]
