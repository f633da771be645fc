"""What a checkpoint holds, field by field. A stranger's is looked at here before anything else is done with it."""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any, Literal

import torch
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from torch import Tensor

DEEPEST = 12
"""Levels of nested values; settings and states of optimizers have five."""
LARGEST = 1024
"""Bits of a whole number: no float holds more, and Python refuses to print much more."""
PLAIN = (type(None), bool, int, float, str)


def _finite(value: float) -> float:
    if not math.isfinite(value):
        raise ValueError("is no finite number")
    return value


def _name(value: str) -> str:
    if value in {".", ".."} or set(value) & set("/\\") or has_control_characters(value):
        raise ValueError("is no name")
    return value


def _file_beside(value: str) -> str:
    try:
        return _name(value)
    except ValueError as error:
        raise ValueError("is not a file beside it") from error


def _state_of_generator(value: Tensor) -> Tensor:
    if value.dtype != torch.uint8 or value.dim() != 1 or not 1 <= len(value) <= 10_000:
        raise ValueError("is no state of a random generator")
    return value


def _words(value: Tensor) -> Tensor:
    if value.shape != (624,) or value.dtype != torch.int64 or not bool(((value >= 0) & (value < 2**32)).all()):
        raise ValueError("is no state of a random generator")
    return value


def _weights(value: dict[str, Any]) -> dict[str, Any]:
    for name, tensor in value.items():
        if not isinstance(tensor, Tensor | dict):
            raise ValueError(f"has {type(tensor).__name__} for {name}")
        if isinstance(tensor, Tensor):
            _check_numbers(name, tensor)
    return value


def _check_numbers(name: str, tensor: Tensor) -> None:
    if tensor.dtype.is_complex:
        raise ValueError(f"has complex numbers for {name}")
    # log Q of what is never drawn is -inf; nothing is inf, and no id, count or step is below 0.
    if tensor.dtype.is_floating_point and not bool((tensor < math.inf).all()):
        raise ValueError(f"has values of {name} that are no finite numbers")
    if not tensor.dtype.is_floating_point and tensor.dtype != torch.bool and bool((tensor < 0).any()):
        raise ValueError(f"has values of {name} below 0")


def _moments(value: dict[int, Any]) -> dict[int, Any]:
    for number, state in value.items():
        for name, moment in state.items():
            if isinstance(moment, Tensor):
                if not bool(torch.isfinite(moment).all()):
                    raise ValueError(f"has values of {name} of parameter {number} that are no finite numbers")
                if name in NEVER_NEGATIVE and bool((moment < 0).any()):
                    raise ValueError(f"has values of {name} of parameter {number} below 0")
            elif moment is not None and not isinstance(moment, bool | int | float):
                raise ValueError(f"has {type(moment).__name__} for {name} of parameter {number}")
    return value


NEVER_NEGATIVE = frozenset({"step", "exp_avg_sq", "max_exp_avg_sq", "square_avg", "sum"})
"""Counts of steps and sums of squares, of torch's optimizers and of LazyAdam."""


def _tuple(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value  # the words of Python's generator are a list


# Beyond 2^53 nothing is meant.
CountOrZero = Annotated[int, Field(ge=0, le=2**53)]
Finite = Annotated[float, AfterValidator(_finite)]
FiniteOrZero = Annotated[Finite, Field(ge=0)]
Name = Annotated[str, Field(min_length=1, max_length=250), AfterValidator(_name)]
Print = Annotated[str, Field(max_length=100), AfterValidator(_name)]
Generator = Annotated[Tensor, AfterValidator(_state_of_generator)]
Word = Annotated[int, Field(ge=0, lt=2**32)]


class _Part(BaseModel):
    model_config = ConfigDict(extra="allow", strict=True, arbitrary_types_allowed=True, protected_namespaces=())


class Settings(_Part):
    """Settings by name; :mod:`recbole_logq.experiment.stored_settings` holds them against the model's schema."""

    model: Name
    dataset: Name


class Group(_Part):
    """A group of parameters of an optimizer."""

    params: list[CountOrZero]
    lr: FiniteOrZero


class Optimizer(_Part):
    """What torch's ``state_dict`` of an optimizer gives."""

    state: Annotated[dict[int, dict[str, Any]], AfterValidator(_moments)]
    param_groups: Annotated[list[Group], Field(min_length=1)]


class RandomState(_Part):
    """What :func:`recbole_logq.training.checkpoint.random_state` gives."""

    torch: Generator
    python: tuple[
        Literal[3], Annotated[list[Word], BeforeValidator(_tuple), Field(min_length=625, max_length=625)], Finite | None
    ]
    numpy: tuple[
        Literal["MT19937"],
        Annotated[Tensor, AfterValidator(_words)],
        Annotated[int, Field(ge=0, le=624)],
        Literal[0, 1],
        Finite,
    ]
    cuda: list[Generator] = []


class Content(_Part):
    """A whole checkpoint; fields with a default are not in all of them."""

    config: Settings
    given: dict[str, Any]
    fingerprint: dict[Literal["train", "valid", "test"], Print]
    id_fingerprint: Print
    epoch: CountOrZero
    cur_step: CountOrZero
    best_valid_score: Annotated[float, Field(allow_inf_nan=True)]
    best_valid_result: dict[str, float]
    best_epoch: CountOrZero | None
    stopped: bool
    best_file: Annotated[str, Field(min_length=1, max_length=250), AfterValidator(_file_beside)]
    history: list[dict[str, Any]]
    spent: tuple[FiniteOrZero, FiniteOrZero, CountOrZero]
    state_dict: Annotated[dict[str, Any], AfterValidator(_weights)]
    other_parameter: dict[str, Any]
    optimizer: Optimizer
    random: RandomState
    loader: list[Generator]
    schedule: dict[str, Any] | None = None
    test_result: dict[str, float] | None = None
    versions: dict[str, str] | None = None
    plugins: dict[str, Print] | None = None
    model_class: Name | None = None


def has_control_characters(text: str) -> bool:
    """Whether a text holds what is no character to read: controls, directions of writing, halves of a pair."""
    return any(unicodedata.category(character) in {"Cc", "Cf", "Cs", "Zl", "Zp"} for character in text)


def problem(content: dict[str, Any], limit: int) -> str | None:
    """The first thing in a checkpoint that cannot be meant, in a few words; None where all is well.

    Args:
        content: Content read from the file.
        limit: Values that it may hold. One list that stands in many places is small in a file and endless to walk.
    """
    for number, fault in enumerate(_strange(content)):
        if fault is not None:
            return fault
        if number > limit:
            return "it holds more values than its size allows"
    try:
        Content.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        message = first["msg"].removeprefix("Value error, ")
        place = ".".join(str(part) for part in first["loc"] if part not in UNION_BRANCHES)
        if first["type"] == "missing":
            return f"it has no {place}"
        if message.startswith(("is ", "has ")):
            return f"{place} {message}"
        return f"{place} is not what it should be: {message[0].lower()}{message[1:]}"
    return None


UNION_BRANCHES = frozenset({"constrained-int", "int", "none", "function-after[_finite(), float]"})


def _strange(content: Any) -> Iterator[str | None]:
    """The fault of every value, or None, whatever the value stands for."""
    waiting: list[tuple[Any, str, int]] = [(content, "", 0)]
    while waiting:
        value, place, depth = waiting.pop()
        if isinstance(value, dict | list | tuple):
            if depth >= DEEPEST:
                yield f"{place} is nested too deep"
                return
            pairs = value.items() if isinstance(value, dict) else enumerate(value)
            for key, item in pairs:
                if not isinstance(key, PLAIN):
                    yield f"{place} has a key that is no text"
                    return
                yield _strange_text(key, place)
                # The first levels alone: a path is for reading.
                waiting.append((item, f"{place}.{key}".lstrip(".") if depth < 2 else place, depth + 1))
        elif isinstance(value, Tensor):
            yield _strange_tensor(value, place)
        elif isinstance(value, str):
            yield _strange_text(value, place)
        elif isinstance(value, int) and value.bit_length() > LARGEST:
            yield f"{place} is a whole number of more than 300 digits"
        elif not isinstance(value, PLAIN):
            yield f"{place} is {type(value).__name__}, which no checkpoint holds"
        else:
            yield None


def _strange_text(value: Any, place: str) -> str | None:
    try:
        if isinstance(value, str):
            value.encode()
    except UnicodeEncodeError:
        return f"{place} has a text with half a character"
    return None


def _strange_tensor(value: Tensor, place: str) -> str | None:
    if type(value) not in {Tensor, torch.nn.Parameter} or value.layout != torch.strided or value.is_meta:
        return f"{place} is a tensor of a kind that no checkpoint holds"
    if value.is_quantized or value.is_nested:
        return f"{place} is a tensor of a kind that no checkpoint holds"
    # A view that repeats few numbers is small in the file and of any size to work with.
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        return f"{place} is a tensor that repeats its numbers"
    return None
