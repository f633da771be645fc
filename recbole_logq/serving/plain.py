"""Kinds of values that the JSON of an exported folder may hold; whatever is not listed is refused."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

MAX_LENGTH = 1 << 16
"""Longest sequence that a transformer sees."""
Large = 1e9
"""A temperature is not above it."""


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("characters that cannot be printed")
    return text


class Plain(BaseModel):
    """Exactly these keys, of exactly these types: a text of digits is no number, and true is none either."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False, protected_namespaces=())


Width = Annotated[int, Field(ge=1, le=1 << 16)]
"""Width of a layer or a vector."""
Tokens = Annotated[int, Field(ge=1, le=1 << 40)]
"""Different ones, with 0 for none."""
Count = Annotated[int, Field(ge=0, le=1 << 53)]
Name = Annotated[str, Field(min_length=1, max_length=255), AfterValidator(_printable)]
Text = Annotated[str, Field(max_length=1 << 20)]


def first_problem(error: ValidationError) -> str:
    """What is wrong, where, in a few words."""
    problem = error.errors(include_url=False, include_context=False)[0]
    place = ".".join(str(part) for part in problem["loc"])
    message = problem["msg"].removeprefix("Value error, ")
    return f"{visible(place, 200)}: {message[0].lower()}{visible(message[1:], 300)}"


def visible(text: str, length: int) -> str:
    """The beginning of a stranger's text, without what would move the cursor or change colours."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:length])
