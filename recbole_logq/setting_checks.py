"""Settings held against their schema, and those of RecBole's models against the kind of their default."""

from __future__ import annotations

import math
import sys
from typing import Any

from pydantic import BaseModel, ValidationError

from recbole_logq.errors import RequestError
from recbole_logq.nearest import nearest

ACCUMULATION = frozenset({"accumulation_steps", "gradient_accumulation_steps", "accumulate_grad_batches"})


def check_keys(settings: dict[str, Any], names: set[str]) -> None:
    """Refuse keys that nothing reads.

    Raises:
        RequestError: A key is unknown; the message names it and the nearest known one.
    """
    for key in settings:
        if key in ACCUMULATION:
            raise RequestError(
                f"{key}: summing the gradients of small batches leaves each its own small pool of negatives; set "
                "--gradient_cache=N, which encodes N at a time and has the gradient of the whole batch"
            )
        if key not in names:
            raise RequestError(f"unknown setting {key}{nearest(key, names)}")


# Texts that may look like numbers to YAML.
NAMES = frozenset({"model", "dataset", "gpu_id"})


def check_magnitudes(content: Any, path: str = "") -> None:
    """Refuse whole numbers that no float holds, wherever they stand: arithmetic would overflow in the middle of work.

    Raises:
        RequestError: A whole number is too large; the message names the setting.
    """
    lists = enumerate(content) if isinstance(content, list | tuple) else ()
    parts = content.items() if isinstance(content, dict) else lists
    for key, value in parts:
        check_magnitudes(value, f"{path}.{key}" if path else str(key))
    if isinstance(content, int) and abs(content) > sys.float_info.max:
        raise RequestError(f"{path}: a whole number of more than 300 digits; give a smaller one")


def check_kinds(settings: dict[str, Any], defaults: dict[str, Any], checked: set[str]) -> None:
    """Hold what RecBole's own models read, which has no schema, against the kind of its default.

    Args:
        settings: Settings of the user.
        defaults: Defaults of all settings.
        checked: Settings that a schema has checked.

    Raises:
        RequestError: A value is of another kind than its default; the message names both.
    """
    for key, value in settings.items():
        default = defaults.get(key)
        if key in checked:
            continue
        if value is None:
            if isinstance(default, int | float) and not isinstance(default, bool):
                raise RequestError(f"{key}=null: a number, such as its default {default}")
            continue
        number = isinstance(value, int | float) and math.isfinite(value)
        if isinstance(default, bool):
            if value not in (True, False):
                raise RequestError(f"{key}={value!r}: true or false")
        elif isinstance(default, str) and key not in NAMES and not isinstance(value, str):
            raise RequestError(f"{key}={value!r}: a text, such as its default {default!r}")
        elif isinstance(default, int | float) and (isinstance(value, bool) or not number):
            raise RequestError(f"{key}={value!r}: a number, such as its default {default}")


def check_types(values: dict[str, Any], schema: type[BaseModel]) -> dict[str, Any]:
    """Check types and ranges; returns the checked values of the schema's own fields (``1.0`` for a count becomes 1).

    Raises:
        RequestError: A value is not allowed; one line names the key, the value and what is expected.
    """
    try:
        checked = schema.model_validate(values)
    except ValidationError as error:
        first, *others = error.errors()
        of_its_key = [first, *(other for other in others if other["loc"][:1] == first["loc"][:1])]
        # Of a union the branch that goes furthest into the value: what is wrong with a list, not that it is no number.
        problem = max(of_its_key, key=lambda each: len(each["loc"]))
        raise RequestError(_type_error_text(problem, schema)) from error
    fields = {name: getattr(checked, name) for name in schema.model_fields}
    return {
        name: value.model_dump(exclude_none=True) if isinstance(value, BaseModel) else value
        for name, value in fields.items()
    }


def check_some_types(values: dict[str, Any], schema: type[BaseModel]) -> None:
    """The same of a part of the settings; what is missing is no problem.

    Raises:
        RequestError: As for :func:`check_types`.
    """
    try:
        schema.model_validate(values)
    except ValidationError as error:
        for problem in error.errors():
            if problem["type"] != "missing":
                raise RequestError(_type_error_text(problem, schema)) from error


def _type_error_text(problem: Any, schema: type[BaseModel]) -> str:
    """One line of a problem that pydantic has found."""
    location = [part for part in problem["loc"] if isinstance(part, str)]
    # Unions report one problem per branch with the branch's type in the path; the key is what the user knows.
    path = ".".join(part for part in location if part.isidentifier() or part == location[0])
    path = path.removesuffix(".int").removesuffix(".str")
    if problem["type"] == "extra_forbidden":
        section, _, key = path.rpartition(".")
        field = schema.model_fields[section].annotation
        names = set(getattr(field, "model_fields", {}))
        return f"unknown setting {path}{nearest(key, names)} ({section} has {', '.join(sorted(names))})"
    if problem["type"] == "missing":
        return f"{path} is not set: give --{path}=VALUE"
    message = problem["msg"].removeprefix("Value error, ")
    return f"{path}={problem['input']!r}: {message[0].lower()}{message[1:]}"
