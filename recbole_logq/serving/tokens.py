"""Tokens and contexts as they are written on the command line and in cells."""

from __future__ import annotations

import csv
from typing import Any

from recbole_logq.errors import RequestError
from recbole_logq.serving.context import Context


def split_tokens(text: str) -> list[str]:
    """Tokens between commas; one that has a comma of its own stands in double quotes, as in CSV.

    Raises:
        RequestError: The text is not of this form, or there is nothing between two commas.
    """
    try:
        (row,) = csv.reader([text], skipinitialspace=True, strict=True)
    except (csv.Error, ValueError) as error:
        raise RequestError(
            f"cannot read {text!r}: tokens between commas, in double quotes where they have one"
        ) from error
    if any(row) and not all(row):
        raise RequestError(f"{text!r} has an empty place between commas; fill it, or take a comma out")
    return [token for token in row if token]


def refuse_text(name: str, values: Any) -> None:
    """Refuse one text where several are asked for: its letters would be taken for them.

    Raises:
        RequestError: It is a text.
    """
    if isinstance(values, str):
        raise RequestError(f"{name}: {values!r} is one text; give a list, such as [{values!r}]")


def split_context(text: str, label: str = "context") -> Context:
    """What a request knows: ``name=value`` between commas, in double quotes where a value has one.

    Args:
        text: What is written.
        label: Name of the text in messages.

    Raises:
        RequestError: The text is not of this form, or has a name twice.
    """
    context: dict[str, str] = {}
    for pair in split_tokens(text):
        name, equals, value = pair.partition("=")
        if not equals or name in context:
            raise RequestError(f'{label}: {pair!r} among {text!r}, once name=value for each: "hour=12,device=web"')
        context[name] = value
    return context
