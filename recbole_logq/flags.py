"""Flags of a command as a pydantic model: their meaning, default and allowed values, stated once and checked here."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from recbole_logq.allowed_values import Allowed, allowed_values
from recbole_logq.errors import RequestError
from recbole_logq.numerals import as_whole
from recbole_logq.setting_checks import check_keys


class Flags(BaseModel):
    """What a command takes for itself."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


F = TypeVar("F", bound=Flags)


def _text(value: Any) -> Any:
    if isinstance(value, bool | list | dict):
        raise ValueError("expected a text")
    return str(value)


def _words(value: Any) -> Any:
    return value.split() if isinstance(value, str) else [] if value is None else value


def whole(value: Any) -> Any:
    """A whole number, however it is written; anything else as it is."""
    number = as_whole(value)
    return value if number is None else number


Text = Annotated[str, BeforeValidator(_text)]
Name = Annotated[Text, Allowed("NAME")]
File = Annotated[Text, Allowed("FILE")]
Folder = Annotated[Text, Allowed("FOLDER")]
JsonFile = Annotated[Text, Allowed("FILE.json")]
PageFile = Annotated[Text, Allowed("FILE.html")]
YesNo = Annotated[bool, Field(strict=True)]
Number = Annotated[int, BeforeValidator(whole), Field(strict=True, ge=1, lt=2**32)]
NumberOrZero = Annotated[int, BeforeValidator(whole), Field(strict=True, ge=0, lt=2**32)]
ConfigFiles = Annotated[
    list[str],
    BeforeValidator(_words),
    Allowed('"A.yaml B.yaml"'),
    Field(default_factory=list, description="YAML files; later ones win, the command line last"),
]
ResultFile = Annotated[JsonFile | None, Field(description="file for the result")]
Plugins = Annotated[str | list[str], Allowed("FILE.py")]


def take_flags(options: dict[str, Any], flags: type[F], settings: bool = False) -> F:
    """Take a command's own flags out of the options.

    Args:
        options: Options of the command line; those that are left over are settings.
        flags: Model of the flags.
        settings: Whether settings may be left.

    Raises:
        RequestError: A flag is unknown, missing or has a value that it cannot have; in one line.
    """
    if not settings:
        check_keys(options, set(flags.model_fields))
    values = {key: options.pop(key) for key in list(options) if key in flags.model_fields}
    for key, field in flags.model_fields.items():
        if field.is_required() and values.get(key) is None:
            meaning = (field.description or "").partition(";")[0]
            raise RequestError(f"no {key} given: set --{key}={placeholder(field)}, the {meaning}")
    return checked(flags, values)


def checked(flags: type[F], values: dict[str, Any]) -> F:
    """The values of flags.

    Raises:
        RequestError: A value is not one of those that are allowed; in one line.
    """
    try:
        return flags.model_validate(values)
    except ValidationError as error:
        problem = error.errors()[0]
        key = str(problem["loc"][0])
        field = flags.model_fields[key]
        value = whole(problem["input"] if isinstance(values[key], list) else values[key])
        if values[key] is True:
            raise RequestError(f"--{key} has no value: write --{key}={placeholder(field)}") from error
        words = allowed_values(field).removesuffix("; or None")
        article = "a " if words == "text" or words.startswith(("whole", "number", "list", "section")) else ""
        raise RequestError(f"{key}={value!r}: {article}{words}") from error


def placeholder(field: Any) -> str:
    """What stands for the value of a flag in its usage: ``FILE``, ``N``, ``train|valid|all``."""
    words = allowed_values(field).removesuffix("; or None")
    if words.startswith("whole number"):
        return "N"
    kinds = {"number": "X", "text": "TEXT", "section": "VALUE", "list": "[A,B]", "true or false": "true|false"}
    for kind, short in kinds.items():
        if words.startswith(kind):
            return short
    return words.replace(", ", "|")
