"""What a field of a pydantic model takes, in words: for help, the documentation and errors."""

from __future__ import annotations

import types
from collections.abc import Iterable
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen
from pydantic import BaseModel
from pydantic.fields import FieldInfo

LARGEST_BOUND = 2**31
"""Upper bounds from here on are limits of number formats, and nobody asks for them."""


class Allowed(NamedTuple):
    """Metadata of an annotation whose type does not say what is allowed.

    Attributes:
        text: Allowed values, in words, or what stands for them in a usage.
        written: Usage of one flag where the option takes parts; empty for others.
    """

    text: str
    written: str = ""


def allowed_values(field: FieldInfo) -> str:
    """Allowed values of a field, such as ``whole number, 1 or more; or None``."""
    return _type_in_words(field.annotation, field.metadata)


def written_as(field: FieldInfo) -> str:
    """How a flag of parts is written, ``keep.COLUMN=TYPE``; empty for others."""
    return next((part.written for part in field.metadata if isinstance(part, Allowed)), "")


def value_text(value: Any) -> str:
    """A value as it is written on the command line, without quotes."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(value_text, value))}]"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {value_text(inner)}' for key, inner in value.items())}}}"
    if isinstance(value, BaseModel):
        return value_text(value.model_dump())
    return str(value)


def _type_in_words(annotation: Any, metadata: Iterable[Any] = (), plural: str = "") -> str:
    parts = list(metadata)
    while get_origin(annotation) is Annotated:
        annotation, *more = get_args(annotation)
        parts += more
    parts += [inner for part in parts if isinstance(part, FieldInfo) for inner in part.metadata]
    stated = next((part.text for part in parts if isinstance(part, Allowed)), None)
    if get_origin(annotation) in (Union, types.UnionType):
        members = get_args(annotation)
        texts = [_type_in_words(member, parts) for member in members if member is not type(None)]
        missing = ["None"] if type(None) in members else []
        return "; or ".join(dict.fromkeys([*([stated] if stated else texts), *missing]))
    if stated:
        return stated
    if get_origin(annotation) is Literal:
        return ", ".join(map(value_text, get_args(annotation)))
    if annotation in (int, float):
        return ("whole number" if annotation is int else "number") + plural + _range(parts, "each " if plural else "")
    if get_origin(annotation) is list:
        few = any(isinstance(part, MinLen | Len) and part.min_length for part in parts)
        return f"list of {'one or more ' if few else ''}{_type_in_words(get_args(annotation)[0], plural='s')}"
    return _simple(annotation, plural)


def _simple(annotation: Any, plural: str) -> str:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"section of {', '.join(annotation.model_fields)}"
    names = {bool: "true or false", str: f"text{plural}", dict: "section"}
    return names.get(get_origin(annotation) or annotation, "any value")


def _range(metadata: Iterable[Any], prefix: str) -> str:
    low = high = ""
    for part in metadata:
        if isinstance(part, Ge):
            low = f", {prefix}{part.ge} or more"
        elif isinstance(part, Gt):
            low = f", {prefix}above {part.gt}"
        elif isinstance(part, Lt) and float(part.lt) < LARGEST_BOUND:  # type: ignore[arg-type]
            high = f", below {part.lt}"
        elif isinstance(part, Le) and float(part.le) < LARGEST_BOUND:  # type: ignore[arg-type]
            high = f", {part.le} at most"
    return low + high
